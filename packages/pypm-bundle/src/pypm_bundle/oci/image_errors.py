"""What can be wrong with an image for containers, or with what one should be made of."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class ImageFormat(PypmError):
    """The image's name says that it would be packed, and images are not."""

    code: ClassVar[str] = "image-format"
    exit: ClassVar[int] = 2
    file: str

    def __str__(self) -> str:
        return f"{self.file}: an image is a folder, or an archive named *.tar (its layers are packed already)"


class NotAnImageFolder(PypmError):
    """The folder where the image should be has something else in it."""

    code: ClassVar[str] = "not-an-image-folder"
    file: str

    def __str__(self) -> str:
        return f"{self.file} is there already and is no OCI image layout: it is left as it is"

    @property
    def hint(self) -> str:
        return "choose a folder that is not there yet"


class NotAnImage(PypmError):
    """The base is no image that can be read."""

    code: ClassVar[str] = "not-an-image"
    exit: ClassVar[int] = 2
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} is no image to stack upon: {self.reason}"

    @property
    def hint(self) -> str:
        return "a base is an OCI image layout (a folder or *.tar), or an archive of `docker save`"


class ImageDamaged(PypmError):
    """A part of the base has another content than its digest says."""

    code: ClassVar[str] = "image-damaged"
    file: str
    digest: str

    def __str__(self) -> str:
        return f"{self.file}: {self.digest} has another content or size"


class NoImageFor(PypmError):
    """The base has no image for the platform, or several."""

    code: ClassVar[str] = "no-image-for"
    exit: ClassVar[int] = 2
    file: str
    platform: str
    found: tuple[str, ...]
    """Platforms (or names) of the images that are there."""

    def __str__(self) -> str:
        fitting = [one for one in self.found if one.startswith(self.platform)]
        if len(fitting) > 1:
            return f"{self.file} has {len(fitting)} images for {self.platform}: which one is not clear"
        return f"{self.file} has no image for {self.platform}: {', '.join(self.found) or 'it is empty'}"


class WhiteoutName(PypmError):
    """A file has a name by which layers say that one of a lower layer is gone."""

    code: ClassVar[str] = "whiteout-name"
    path: str

    def __str__(self) -> str:
        return f"{self.path} cannot be in an image: there, .wh. at the beginning of a name removes a file"


class NoLibc(PypmError):
    """The C library that an interpreter runs with cannot be put into an image."""

    code: ClassVar[str] = "no-libc"
    reason: str

    def __str__(self) -> str:
        return f"no C library can be put into the image: {self.reason}"

    @property
    def hint(self) -> str:
        return "stack the image upon one that has it: --base PATH"
