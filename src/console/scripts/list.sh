# The entries of folder W: kind, size, permissions, name, and a zero byte each; all of it as base64.
[ -e "$R" ] || { say absent; exit; }
[ -d "$R" ] || { say irregular; exit; }
cd "$R" || { say unreadable; exit; }
for n in * .[!.]* ..?*; do
  [ -e "$n" ] || [ -L "$n" ] || continue
  d=f
  [ ! -d "$n" ] || d=d
  printf '%s %s %s\0' "$d" "$(stat -L -c '%s %a' "./$n" || stat -c '%s %a' "./$n")" "$n"
done | { base64 -w 3900; echo; } | sed "s/^/$N b /"
say done
