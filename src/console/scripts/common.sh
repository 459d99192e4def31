# Runs instead of the console's own shell, on a terminal that changes nothing of what goes through it.
# N is the session's nonce: only lines that begin with it are ours.
exec 2>/dev/null
say() { printf '%s %s\n' "$N" "$*"; }
# The folders of a sandbox may be somewhere else: see the agent's --root. An image need not have /workspace.
S=${SANDBOX_WORKSPACE:-/workspace}
[ -d "$S" ] || mkdir -p "$S" || { S=$HOME/workspace; mkdir -p "$S"; }
case $W in
/workspace | /workspace/*) R=$S${W#/workspace} ;;
/home/sandbox | /home/sandbox/*) [ -d /home/sandbox ] && R=$W || R=$HOME${W#/home/sandbox} ;;
/tmp | /tmp/*) R=${TMPDIR:-/tmp}${W#/tmp} ;;
*) R=$W ;;
esac
