/**
 * What `frontdesk completion SHELL` prints for bash, zsh and fish: ask the program that is being
 * typed, `frontdesk` or `./bin/frontdesk`, for candidates, and hand them to the shell.
 *
 * The program answers a candidate a line, a tab and what it is, and then `:N`. With the bit 4 in N
 * there is nothing else to offer, without it file names are. No word is evaluated, and each script
 * may be read twice.
 */

const BASH = `# bash completion for frontdesk; needs no other package
_frontdesk() {
  # The words as they were typed, up to the cursor: bash cuts them at : and = too.
  local line=\${COMP_LINE:0:COMP_POINT} words=() word='' gap i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    gap=\${line%%[![:space:]]*}
    line=\${line#"$gap"}
    word=$line
    if ((i < COMP_CWORD)); then word=\${COMP_WORDS[i]}; fi
    line=\${line#"$word"}
    if [[ $i -eq 0 || -n $gap ]]; then
      words+=("$word")
    else
      words[\${#words[@]}-1]+=$word
    fi
  done
  local current=\${words[\${#words[@]}-1]}
  # What stands before the part that bash replaces.
  local before=\${current%"\${word#[:=]}"}
  local program=\${words[0]/#"~/"/"$HOME/"}
  type -P -- "$program" >/dev/null || program=frontdesk

  local reply
  COMPREPLY=()
  while IFS= read -r reply; do
    case $reply in
      :*) if ((\${reply#:} & 4)); then compopt +o default 2>/dev/null; fi ;;
      *)
        reply=\${reply%%$'\\t'*}
        COMPREPLY+=("\${reply#"$before"}")
        ;;
    esac
  done < <("$program" complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _frontdesk frontdesk
`;

const ZSH = `#compdef frontdesk
# zsh completion for frontdesk
_frontdesk() {
  setopt local_options extended_glob
  local -a found
  local reply files=1 program=\${words[1]/#\\~\\//$HOME/}
  whence -p -- "$program" >/dev/null || program=frontdesk
  while IFS= read -r reply; do
    if [[ $reply == :<-> ]]; then
      (( \${reply#:} & 4 )) && files=0
    else
      found+=("\${\${reply%%$'\\t'*}//:/\\\\:}:\${reply#*$'\\t'}")
    fi
  done < <("$program" complete -- "\${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)
  [[ $PREFIX == -*=* ]] && compset -P 1 '*='
  if (( $#found )); then
    _describe -V frontdesk found
  elif (( files )); then
    compset -P '[a-z]##:' # The place in file:PLACE is a file.
    _files
  fi
}
if [[ \${funcstack[1]} == _frontdesk ]]; then
  _frontdesk "$@"
elif (( $+functions[compdef] )); then
  compdef _frontdesk frontdesk
else
  print -u2 'frontdesk: completion needs this first: autoload -Uz compinit && compinit'
fi
`;

const FISH = `# fish completion for frontdesk
function __frontdesk_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    type -q -- $program; or set program frontdesk
    type -q -- $program; or return
    set -l replies ($program complete -- $words[2..-1] "$current" 2>/dev/null)
    set -l flag (string match -r -- '^-[^=]*=' "$current")
    if test (count $replies) -gt 1
        for reply in $replies[1..-2]
            printf '%s\\n' "$flag$reply"
        end
    else if test "$replies" = ':0'
        # The place in file:PLACE is a file.
        set -l scheme (string match -r -- '^[a-z]+:' "$current")
        set -l from (math (string length -- "$scheme") + 1)
        for path in (__fish_complete_path (string sub --start $from -- "$current"))
            printf '%s\\n' "$scheme$path"
        end
    end
end
complete -c frontdesk -e
complete -c frontdesk -f -k -a '(__frontdesk_complete)'
`;

export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
