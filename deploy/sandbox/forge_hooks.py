"""The git hooks of a repository: protection before a push, and a note of what was pushed after it."""

from pathlib import Path

# Lines of the file `protected`: a glob of whole ref names, a bar, and the users it lets pass between commas.
PRE_RECEIVE = """#!/bin/sh
while read -r old new ref; do
  while IFS='|' read -r pattern users; do
    case "$ref" in $pattern) ;; *) continue ;; esac
    case "$users" in *",$REMOTE_USER,"*) continue ;; esac
    brand=${FORGE_BRAND:-Gitea}
    case "$ref" in
      refs/tags/*) echo "$brand: Tag ${ref#refs/tags/} is protected" >&2 ;;
      *)
        case "$new" in
          *[!0]*) echo "$brand: Not allowed to push to protected branch ${ref#refs/heads/}" >&2 ;;
          *) echo "$brand: branch ${ref#refs/heads/} is protected from deletion" >&2 ;;
        esac ;;
    esac
    exit 1
  done < "$GIT_DIR/protected"
done
"""

# A file a push, named only when it is whole, so that the forge never reads half of one.
POST_RECEIVE = """#!/bin/sh
cat > "$GIT_DIR/pushed/.$$" && mv "$GIT_DIR/pushed/.$$" "$GIT_DIR/pushed/$$"
"""


def install_hooks(path: Path) -> None:
    """Writes both hooks; the protection in force stays."""
    for name, text in (("pre-receive", PRE_RECEIVE), ("post-receive", POST_RECEIVE)):
        hook = path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(text)
        hook.chmod(0o755)
    (path / "pushed").mkdir(exist_ok=True)
    (path / "protected").touch()


def protect(path: Path, rules: list[tuple[str, list[str]]]) -> None:
    """Puts `rules` in force: globs of whole ref names, and who may push nevertheless."""
    lines = [f"{glob}|,{','.join(users)},\n" for glob, users in rules]
    (path / "protected").write_text("".join(lines))


def take_pushed(path: Path) -> list[tuple[str, str, str]]:
    """(old, new, ref) of every update since the last call."""
    updates = list[tuple[str, str, str]]()
    for note in sorted((path / "pushed").glob("[!.]*")):
        rows = [line.split() for line in note.read_text().splitlines()]
        updates += [(old, new, ref) for old, new, ref in rows]
        note.unlink()
    return updates
