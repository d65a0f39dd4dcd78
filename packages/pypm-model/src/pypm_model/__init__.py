"""The nouns of pypm: values exchanged by members that may not import each other.

Import the module that holds the noun you need (``from pypm_model.requests import Request``);
this file binds nothing, so that a command that needs one record does not load them all.
"""
