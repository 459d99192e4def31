# The file W as lines of base64, then its digest.
[ -e "$R" ] || { say absent; exit; }
[ ! -d "$R" ] || { say folder; exit; }
[ -f "$R" ] || { say irregular; exit; }
[ -r "$R" ] || { say unreadable; exit; }
say size "$(wc -c <"$R" | tr -d ' ')"
{ base64 -w 3900 <"$R"; echo; } | sed "s/^/$N b /"
H=$(sha256sum <"$R")
say digest "${H%% *}"
