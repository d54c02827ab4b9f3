# For scripts that need a program: sourced, not run.

# say TEXT: a headline.
say() { printf '\n== %s\n' "$*"; }

# need COMMAND PACKAGE [PACKAGE…]: installs Debian's packages where the command is missing.
need() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then return; fi
    say "installing $* from the distribution"
    if ! command -v apt-get >/dev/null; then
        echo "$command is not installed, and there is no apt-get to install it with: please install $*" >&2
        exit 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    # Servers are started by the tests, on free ports: those that the packages bring are not wanted, nor are they started.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@"
}
