"""How a shell is started so that it reads the user's own files first, and then says where it is.

Values only: what to run, with which variables, and which files must be there. What the user's files did to
the variables that make the sandbox is undone after them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pypm_env.sandbox.environ import FIXED
from pypm_model.records import record


@record
class Shell:
    """A shell to start."""

    argv: tuple[str, ...]
    variables: Mapping[str, str]
    """Added to the environment."""
    files: Mapping[str, str]
    """Text by path, to be written before."""
    shows: bool = True
    """Whether its prompt will say where it is; an unknown shell's does not."""


_BASH = """\
if [ -r ~/.bashrc ]; then . ~/.bashrc; fi
unset ${{!PYTHON@}} CONDA_PREFIX
{exports}
PS1="({shown}) ${{PS1-\\\\$ }}"
"""
_SH = """\
if [ -n {env} ] && [ -r {env} ]; then . {env}; fi
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP
{exports}
PS1="({shown}) ${{PS1-\\$ }}"
"""
_ZSH_ENV = """\
ZDOTDIR={user}
if [[ -r $ZDOTDIR/.zshenv ]]; then . $ZDOTDIR/.zshenv; fi
typeset -g _pypm_user_zdotdir=$ZDOTDIR
ZDOTDIR={own}
"""
_ZSH = """\
ZDOTDIR=$_pypm_user_zdotdir
unset _pypm_user_zdotdir
if [[ -r $ZDOTDIR/.zshrc ]]; then . $ZDOTDIR/.zshrc; fi
unset -m 'PYTHON*' CONDA_PREFIX
{exports}
PROMPT="({shown}) $PROMPT"
"""
_FISH = """\
for name in (set --names | string match 'PYTHON*') CONDA_PREFIX
    set --erase $name
end
{exports}
if functions -q fish_prompt
    functions -c fish_prompt _pypm_outer_prompt
else
    function _pypm_outer_prompt; echo -n '> '; end
end
function fish_prompt
    set -l before $status
    printf '(%s) ' {shown}
    sh -c "exit $before"
    _pypm_outer_prompt
end
"""
_POWERSHELL = """\
Get-ChildItem Env:PYTHON* | ForEach-Object {{ Remove-Item "Env:$($_.Name)" }}
{exports}
$function:_pypm_outer_prompt = $function:prompt
function prompt {{ "(" + {shown} + ") " + (_pypm_outer_prompt) }}
"""
_CMD = """\
@for /f "delims==" %%n in ('set PYTHON 2^>nul') do @set %%n=
{exports}
@prompt ({shown}) $P$G
"""


def choose_shell(environ: Mapping[str, str], platform: str = os.name) -> str:
    """The user's shell: what SHELL names, else the system's."""
    if platform == "nt":
        return environ.get("COMSPEC", "cmd.exe") if not environ.get("PSModulePath") else "powershell.exe"
    return environ.get("SHELL") or "/bin/sh"


def shell(program: str, shown: str, environ: Mapping[str, str], own: Path, home: str) -> Shell:
    """How *program* becomes the shell of the sandbox that *shown* names.

    *environ* is what it gets; *own* is a folder for its files, *home* where the user's are.
    """
    name = os.path.basename(program.replace("\\", "/")).lower().removesuffix(".exe").lstrip("-")
    kept = {key: environ[key] for key in ("PATH", "VIRTUAL_ENV", *FIXED)}
    match name:
        case "bash":
            file = str(own / "bashrc")
            text = _BASH.format(exports=_exports(kept), shown=_plain(shown))
            return Shell((program, "--rcfile", file, "-i"), {}, {file: text})
        case "zsh":
            user = environ.get("ZDOTDIR") or home
            files = {
                str(own / ".zshenv"): _ZSH_ENV.format(user=_quoted(user), own=_quoted(str(own))),
                str(own / ".zshrc"): _ZSH.format(exports=_exports(kept), shown=_plain(shown)),
            }
            return Shell((program, "-i"), {"ZDOTDIR": str(own)}, files)
        case "fish":
            file = str(own / "init.fish")
            exports = "\n".join(
                f"set -gx PATH {' '.join(_fish(part) for part in value.split(os.pathsep))}"
                if key == "PATH"
                else f"set -gx {key} {_fish(value)}"
                for key, value in kept.items()
            )
            text = _FISH.format(exports=exports, shown=_fish(shown))
            return Shell((program, "-i", "-C", f"source {_fish(file)}"), {}, {file: text})
        case "pwsh" | "powershell":
            file = str(own / "profile.ps1")
            exports = "\n".join(f"$env:{key} = {_ps(value)}" for key, value in kept.items())
            text = _POWERSHELL.format(exports=exports, shown=_ps(shown))
            run = f". {_ps(file)}"
            return Shell((program, "-NoLogo", "-NoExit", "-Command", run), {}, {file: text})
        case "cmd":
            file = str(own / "start.cmd")
            exports = "\n".join(f'@set "{key}={value}"' for key, value in kept.items())
            text = _CMD.format(exports=exports, shown=_plain(shown)).replace("\n", "\r\n")
            return Shell((program, "/d", "/k", file), {}, {file: text})
        case "sh" | "dash" | "ksh" | "mksh" | "ash":
            file = str(own / "shrc")
            text = _SH.format(
                env=_quoted(environ.get("ENV", "")), exports=_exports(kept), shown=_plain(shown)
            )
            return Shell((program, "-i"), {"ENV": file}, {file: text})
        case _:
            return Shell((program,), {}, {}, shows=False)


def _exports(variables: Mapping[str, str]) -> str:
    return "\n".join(f"export {key}={_quoted(value)}" for key, value in variables.items())


def _plain(text: str) -> str:
    """*text* without what a shell would read as more than letters between double quotes."""
    return "".join(char for char in text if char.isalnum() or char in " -_.,:/@+[]")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _ps(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
