"""Scripts that put an environment first in a shell: sh and bash/zsh, csh, fish, PowerShell, cmd.

Small on purpose: each saves what it changes (``PATH``, ``PYTHONHOME``, the prompt), sets
``VIRTUAL_ENV`` and defines ``deactivate``. ``VIRTUAL_ENV_DISABLE_PROMPT`` keeps the prompt as it is.
"""

from __future__ import annotations

from pypm_env.interpreters import Interpreter

_SH = """\
# Use as ". {scripts}/activate" in sh, bash and zsh; "deactivate" ends it.
deactivate () {{
    if [ -n "${{_PYPM_OLD_PATH+set}}" ]; then PATH="$_PYPM_OLD_PATH"; export PATH; unset _PYPM_OLD_PATH; fi
    if [ -n "${{_PYPM_OLD_HOME+set}}" ]; then
        PYTHONHOME="$_PYPM_OLD_HOME"; export PYTHONHOME; unset _PYPM_OLD_HOME
    fi
    if [ -n "${{_PYPM_OLD_PS1+set}}" ]; then PS1="$_PYPM_OLD_PS1"; unset _PYPM_OLD_PS1; fi
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
    hash -r 2> /dev/null || true
    if [ "${{1:-}}" != keep ]; then unset -f deactivate; fi
}}
deactivate keep
VIRTUAL_ENV={folder}
VIRTUAL_ENV_PROMPT={prompt}
export VIRTUAL_ENV VIRTUAL_ENV_PROMPT
_PYPM_OLD_PATH="$PATH"
PATH="$VIRTUAL_ENV/{scripts}:$PATH"
export PATH
if [ -n "${{PYTHONHOME:-}}" ]; then _PYPM_OLD_HOME="$PYTHONHOME"; unset PYTHONHOME; fi
if [ -z "${{VIRTUAL_ENV_DISABLE_PROMPT:-}}" ]; then
    _PYPM_OLD_PS1="${{PS1:-}}"
    PS1="($VIRTUAL_ENV_PROMPT) ${{PS1:-}}"
fi
hash -r 2> /dev/null || true
"""

_CSH = """\
# Use as "source {scripts}/activate.csh"; "deactivate" ends it.
alias deactivate 'test $?_PYPM_OLD_PATH != 0 && setenv PATH "$_PYPM_OLD_PATH" && unset _PYPM_OLD_PATH; \
rehash; test $?_PYPM_OLD_PROMPT != 0 && set prompt="$_PYPM_OLD_PROMPT" && unset _PYPM_OLD_PROMPT; \
unsetenv VIRTUAL_ENV; unsetenv VIRTUAL_ENV_PROMPT; test "\\!:*" != "keep" && unalias deactivate'
deactivate keep
setenv VIRTUAL_ENV {folder}
setenv VIRTUAL_ENV_PROMPT {prompt}
set _PYPM_OLD_PATH="$PATH"
setenv PATH "$VIRTUAL_ENV/{scripts}:$PATH"
unsetenv PYTHONHOME
if (! "$?VIRTUAL_ENV_DISABLE_PROMPT") then
    if ($?prompt) then
        set _PYPM_OLD_PROMPT="$prompt"
        set prompt="("{prompt}") $prompt"
    endif
endif
rehash
"""

_FISH = """\
# Use as "source {scripts}/activate.fish"; "deactivate" ends it.
function deactivate -d "Leave the virtual environment"
    if set -q _PYPM_OLD_PATH
        set -gx PATH $_PYPM_OLD_PATH
        set -e _PYPM_OLD_PATH
    end
    if set -q _PYPM_OLD_HOME
        set -gx PYTHONHOME $_PYPM_OLD_HOME
        set -e _PYPM_OLD_HOME
    end
    if functions -q _pypm_old_prompt
        functions -e fish_prompt
        functions -c _pypm_old_prompt fish_prompt
        functions -e _pypm_old_prompt
    end
    set -e VIRTUAL_ENV
    set -e VIRTUAL_ENV_PROMPT
    if test "$argv[1]" != keep
        functions -e deactivate
    end
end
deactivate keep
set -gx VIRTUAL_ENV {folder}
set -gx VIRTUAL_ENV_PROMPT {prompt}
set -g _PYPM_OLD_PATH $PATH
set -gx PATH "$VIRTUAL_ENV/{scripts}" $PATH
if set -q PYTHONHOME
    set -g _PYPM_OLD_HOME $PYTHONHOME
    set -e PYTHONHOME
end
if not set -q VIRTUAL_ENV_DISABLE_PROMPT; and functions -q fish_prompt
    functions -c fish_prompt _pypm_old_prompt
    function fish_prompt
        set -l before $status
        printf "(%s) " $VIRTUAL_ENV_PROMPT
        echo "exit $before" | .
        _pypm_old_prompt
    end
end
"""

_POWERSHELL = """\
# Use as ". {scripts}/activate.ps1"; "deactivate" ends it.
function global:deactivate ([switch]$Keep) {{
    if (Test-Path variable:_PYPM_OLD_PATH) {{
        $env:PATH = $global:_PYPM_OLD_PATH
        Remove-Variable "_PYPM_OLD_PATH" -Scope global
    }}
    if (Test-Path function:_pypm_old_prompt) {{
        $function:prompt = $function:_pypm_old_prompt
        Remove-Item function:\\_pypm_old_prompt
    }}
    if ($env:VIRTUAL_ENV) {{ Remove-Item env:VIRTUAL_ENV }}
    if ($env:VIRTUAL_ENV_PROMPT) {{ Remove-Item env:VIRTUAL_ENV_PROMPT }}
    if (-not $Keep) {{ Remove-Item function:deactivate }}
}}
deactivate -Keep
$env:VIRTUAL_ENV = {folder}
$env:VIRTUAL_ENV_PROMPT = {prompt}
New-Variable -Scope global -Name _PYPM_OLD_PATH -Value $env:PATH
$env:PATH = (Join-Path $env:VIRTUAL_ENV "{scripts}") + [System.IO.Path]::PathSeparator + $env:PATH
if ($env:PYTHONHOME) {{ Remove-Item env:PYTHONHOME }}
if (-not $env:VIRTUAL_ENV_DISABLE_PROMPT) {{
    $function:global:_pypm_old_prompt = $function:prompt
    function global:prompt {{
        Write-Host -NoNewline "($env:VIRTUAL_ENV_PROMPT) "
        & $function:_pypm_old_prompt
    }}
}}
"""

_CMD = """\
@echo off\r
rem Use as "{scripts}\\activate.bat"; "deactivate" ends it.\r
if defined _PYPM_OLD_PATH set "PATH=%_PYPM_OLD_PATH%"\r
if defined _PYPM_OLD_PROMPT set "PROMPT=%_PYPM_OLD_PROMPT%"\r
set "VIRTUAL_ENV={folder}"\r
set "VIRTUAL_ENV_PROMPT={prompt}"\r
set "_PYPM_OLD_PATH=%PATH%"\r
set "PATH=%VIRTUAL_ENV%\\{scripts};%PATH%"\r
set "PYTHONHOME="\r
if defined VIRTUAL_ENV_DISABLE_PROMPT goto end\r
set "_PYPM_OLD_PROMPT=%PROMPT%"\r
set "PROMPT=({prompt}) %PROMPT%"\r
:end\r
"""

_CMD_END = """\
@echo off\r
if defined _PYPM_OLD_PATH set "PATH=%_PYPM_OLD_PATH%"\r
if defined _PYPM_OLD_PROMPT set "PROMPT=%_PYPM_OLD_PROMPT%"\r
set "_PYPM_OLD_PATH="\r
set "_PYPM_OLD_PROMPT="\r
set "VIRTUAL_ENV="\r
set "VIRTUAL_ENV_PROMPT="\r
"""


def activation_scripts(interpreter: Interpreter, folder: str, prompt: str) -> tuple[tuple[str, str], ...]:
    """(file name, text) of every activation script for the environment at *folder*, line ends as they
    must be written. *prompt* is shown in parentheses."""
    scripts = interpreter.layout.scripts
    sh, csh, fish = _sh_quoted, _csh_quoted, _fish_quoted
    found = [
        ("activate", _SH.format(scripts=scripts, folder=sh(folder), prompt=sh(prompt))),
        ("activate.fish", _FISH.format(scripts=scripts, folder=fish(folder), prompt=fish(prompt))),
        ("activate.ps1", _POWERSHELL.format(scripts=scripts, folder=_ps(folder), prompt=_ps(prompt))),
    ]
    if interpreter.is_windows:
        folder, prompt = _cmd_escaped(folder), _cmd_escaped(prompt)
        found.append(("activate.bat", _CMD.format(scripts=scripts, folder=folder, prompt=prompt)))
        found.append(("deactivate.bat", _CMD_END))
    else:
        found.append(("activate.csh", _CSH.format(scripts=scripts, folder=csh(folder), prompt=csh(prompt))))
    return tuple(found)


def _sh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _csh_quoted(text: str) -> str:
    # "!" starts a history event even between quotes.
    return _sh_quoted(text).replace("!", "\\!")


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _ps(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _cmd_escaped(text: str) -> str:
    return text.replace("%", "%%")
