"""kubectl completion: Tab in a shell, for `k8snb kubectl`.

Interface: `COMMANDS`: `completion SHELL` prints what a shell has to read, `__complete` answers it.
The rule not to break: a shell's script knows no command; it asks for every Tab, and shows what it is told.
Source: `kubectl/pkg/cmd/completion`, and cobra's `__complete`.
"""

from __future__ import annotations

from k8snb.kubectl.completion import complete
from k8snb.kubectl.grammar import Arguments, Command, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

# Bash parts words at = and :, and replaces only what stands after the last of them.
BASH = r"""# bash completion for k8snb kubectl: source <(k8snb kubectl completion bash)
_k8snb() {
    local line="${COMP_LINE:0:COMP_POINT}" words word before
    read -ra words <<< "$line"
    [[ "${words[1]}" == kubectl ]] || return
    [[ "$line" == *[[:space:]] ]] && words+=("")
    word="${words[${#words[@]} - 1]}"
    before="${word%"${word##*[=:]}"}"
    COMPREPLY=()
    local found
    while IFS= read -r found; do
        COMPREPLY+=("${found#"$before"}")
    done < <(k8snb kubectl __complete "${words[@]:2}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=/.] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _k8snb k8snb
"""
ZSH = r"""#compdef k8snb
# zsh completion for k8snb kubectl: source <(k8snb kubectl completion zsh)
_k8snb() {
    local -a found
    [[ "${words[2]}" == kubectl ]] || { _files; return }
    found=("${(@f)$(k8snb kubectl __complete "${(@)words[3,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    (( ${#found} )) || { _files; return }
    compadd -Q -S '' -- ${(M)found:#*[=/.]}
    compadd -Q -- ${found:#*[=/.]}
}
if (( $+functions[compdef] )); then compdef _k8snb k8snb; fi
"""
FISH = r"""# fish completion for k8snb kubectl: k8snb kubectl completion fish | source
function __k8snb_kubectl
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    k8snb kubectl __complete $words[3..] (commandline --current-token --cut-at-cursor) 2>/dev/null
end
complete --command k8snb --condition '__fish_seen_subcommand_from kubectl' --no-files --arguments '(__k8snb_kubectl)'
"""
POWERSHELL = r"""# PowerShell completion for k8snb kubectl:
#   k8snb kubectl completion powershell | Out-String | Invoke-Expression
# Written after PowerShell's documentation: k8snb's tests press Tab in bash, zsh and fish, and never ran this one.
Register-ArgumentCompleter -Native -CommandName k8snb -ScriptBlock {
    param($word, $line, $cursor)
    $words = @($line.CommandElements | ForEach-Object { "$_" })
    if ($words.Count -lt 2 -or $words[1] -ne 'kubectl') { return }
    if ($word -eq '') { $words += '""' }
    $rest = $words[2..($words.Count - 1)]
    & k8snb kubectl __complete @rest 2>$null | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH, "powershell": POWERSHELL}


def run(session: Session, args: Arguments) -> Output:
    if not args.words:
        raise usage_error("Shell not specified.", args.command)
    if len(args.words) > 1:
        raise usage_error("Too many arguments. Expected only the shell type.", args.command)
    script = SCRIPTS.get(args.words[0])
    if script is None:
        known = ", ".join(SCRIPTS)
        raise KubectlError(f'error: Unsupported shell type "{args.words[0]}": it is one of {known}\n'
                           "See 'kubectl completion -h' for help and examples")  # fmt: skip
    return Output(text=script)


def answer(session: Session, args: Arguments) -> Output:
    """One line for each word that could stand in the place of the last."""
    from k8snb.kubectl.commands import COMMANDS as ALL  # which has this command among them

    found = complete(args.rest or [""], ALL, session.client, session.namespace)
    return Output(text="".join(f"{word}\n" for word in found))


COMMANDS = (
    Command(
        name="completion",
        usage="(bash|zsh|fish|powershell)",
        help="Print what a shell has to read so that Tab completes `k8snb kubectl`; no test ever ran powershell's.",
        group="Settings Commands",
        run=run,
        words="one of bash zsh fish powershell",
        examples=("kubectl completion bash", "kubectl completion zsh"),
    ),
    Command(name="__complete", usage="WORDS", help="Answer a shell's Tab.", run=answer, raw=True),
)
