# The file W, from pieces of base64: a line with the length, then so many characters; at last a dot and the digest.
[ ! -d "$R" ] || { say folder; exit; }
[ ! -e "$R" ] || [ -f "$R" ] || { say irregular; exit; }
B=${R%/*}
mkdir -p "$B/"
U=$(mktemp "$B/.upload-XXXXXX") || { say unwritable; exit; }
trap 'rm -f "$U"; exit' HUP INT TERM
[ -n "$M" ] || M=$(stat -L -c %a "$R") || M=644
say go
i=0
while IFS= read -r K; do
  case $K in
  .*)
    H=$(sha256sum <"$U")
    if [ ".${H%% *}" != "$K" ]; then
      say torn
    elif chmod "$M" "$U" && mv -f "$U" "$R"; then
      say done
    else
      say unwritable
    fi
    break
    ;;
  *)
    dd bs="$K" count=1 iflag=fullblock | base64 -d >>"$U" || { say unwritable; break; }
    i=$((i + 1))
    say got "$i"
    ;;
  esac
done
rm -f "$U"
