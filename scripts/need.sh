# For scripts that need a program: sourced, not run.

# say TEXT: a headline.
say() { printf '\n== %s\n' "$*"; }

# need COMMAND PACKAGE [PACKAGE…]: installs Debian's packages where the command is missing.
need() {
    local command=$1
    shift
    if ! command -v "$command" >/dev/null; then install_packages "$command" "$@"; fi
}

# install_packages WHAT PACKAGE [PACKAGE…]: the same for what is no command, and is missing.
install_packages() {
    local what=$1
    shift
    say "installing $* from the distribution"
    if ! command -v apt-get >/dev/null; then
        echo "$what is not installed, and there is no apt-get to install it with: please install $*" >&2
        exit 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    # A machine that has just been started may be busy with packages of its own.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
    "${apt[@]}" update
    # Servers are started by the tests, on free ports: those that the packages bring are not wanted, nor are they started.
    "${apt[@]}" install -y --no-install-recommends "$@"
}
