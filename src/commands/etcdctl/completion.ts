/** `etcdctl completion bash|zsh|fish`: a script for the shell that knows the commands. */
import { type Verb, wrong } from './session.ts';

/** @param names what the user may type, `put` or `user add` */
export function completionVerb(names: () => readonly string[]): Verb {
  return {
    async run({ args, print }) {
      print(completionScript('etcdctl', args[0] ?? '', names()));
    },
  };
}

/** @throws EtcdctlError for a shell that is not known */
export function completionScript(program: string, shell: string, names: readonly string[]): string {
  const write = Object.entries(shells).find(([name]) => name === shell)?.[1];
  if (write === undefined) throw wrong(`a shell is needed: ${Object.keys(shells).join(', ')}`);
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const [first, second] = name.split(' ');
    groups.set(first!, [...(groups.get(first!) ?? []), ...(second === undefined ? [] : [second])]);
  }
  return write(groups).replaceAll('etcdctl', program);
}

type Groups = ReadonlyMap<string, readonly string[]>;

const shells: Readonly<Record<string, (groups: Groups) => string>> = {
  bash: (groups) => `_etcdctl() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  case "\${COMP_WORDS[1]}" in
${cases(groups, (words) => `COMPREPLY=($(compgen -W "${words}" -- "$word")); [ "$COMP_CWORD" -eq 2 ] && return`)}
  esac
  [ "$COMP_CWORD" -eq 1 ] && COMPREPLY=($(compgen -W "${[...groups.keys()].join(' ')}" -- "$word"))
}
complete -o default -F _etcdctl etcdctl
`,
  zsh: (groups) => `#compdef etcdctl
_etcdctl() {
  if (( CURRENT == 2 )); then compadd ${[...groups.keys()].join(' ')}; return; fi
  (( CURRENT == 3 )) || { _files; return }
  case "$words[2]" in
${cases(groups, (words) => `compadd ${words}`)}
    *) _files ;;
  esac
}
compdef _etcdctl etcdctl
`,
  fish: (groups) =>
    [
      `complete -c etcdctl -n __fish_use_subcommand -f -a '${[...groups.keys()].join(' ')}'`,
      ...[...groups]
        .filter(([, seconds]) => seconds.length > 0)
        .map(
          ([first, seconds]) =>
            `complete -c etcdctl -n '__fish_seen_subcommand_from ${first}' -f -a '${seconds.join(' ')}'`,
        ),
      '',
    ].join('\n'),
};

function cases(groups: Groups, line: (words: string) => string): string {
  return [...groups]
    .filter(([, seconds]) => seconds.length > 0)
    .map(([first, seconds]) => `    ${first}) ${line(seconds.join(' '))} ;;`)
    .join('\n');
}
