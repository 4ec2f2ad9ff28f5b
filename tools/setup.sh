#!/usr/bin/env bash
# Makes .venv with everything the project needs, and the system libraries where it may install them.
# Safe to run again; does nothing when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

# A shared library, and the Debian or Ubuntu package that has it.
needed_libraries() {
  cat <<'EOF'
libEGL.so.1 libegl1
libGL.so.1 libgl1
libOSMesa.so libosmesa6
libgomp.so.1 libgomp1
libusb-1.0.so.0 libusb-1.0-0
EOF
}

missing_packages() {
  local known library package
  known=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p)
  needed_libraries | while read -r library package; do
    grep -q "$library" <<<"$known" || echo "$package"
  done
  # EGL without a GPU needs Mesa's drivers.
  [ -e /usr/lib/x86_64-linux-gnu/dri/swrast_dri.so ] || [ -e /usr/lib/aarch64-linux-gnu/dri/swrast_dri.so ] ||
    ls /usr/lib/*/libgallium*.so >/dev/null 2>&1 || echo libgl1-mesa-dri
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

install_system_packages() {
  local packages run=()
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -eq 0 ] && return
  if ! command -v apt-get >/dev/null; then
    echo "setup: install the libraries of these Debian packages, then run again: ${packages[*]}" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      echo "setup: run 'sudo apt-get install -y ${packages[*]}', then run again" >&2
      exit 1
    fi
    run=(sudo)
  fi
  echo "setup: installing ${packages[*]}"
  "${run[@]}" apt-get update -qq
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

install_python_packages() {
  local stamp=.venv/.installed
  if [ -e "$stamp" ] && cmp -s pyproject.toml "$stamp"; then
    return
  fi
  if [ ! -x .cache/uv/bin/uv ]; then
    python3 -m venv .cache/uv
    .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
  fi
  # uv takes a Python 3.12 it finds on the machine, and brings one otherwise.
  [ -x .venv/bin/python ] || .cache/uv/bin/uv venv --quiet --python 3.12 .venv
  echo "setup: installing Python packages into .venv"
  # Compiled now, and not by whoever imports it first: where the environment has
  # PYTHONDONTWRITEBYTECODE set, as containers often do, every start would pay seconds for it.
  # robomimic needs egl-probe, whose build asks for a CMake older than 4 knows.
  CMAKE_POLICY_VERSION_MINIMUM=3.5 \
    .cache/uv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python -e '.[all]'
  cp pyproject.toml "$stamp"
}

compile_own_packages() {
  .venv/bin/python -m compileall -q robot_policy sim ros2_ws/src/robot_policy_ros
}

install_system_packages
install_python_packages
compile_own_packages
