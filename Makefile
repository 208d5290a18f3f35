# Two commands from a fresh clone:
#   make demo   set up, build, run the planner on the sample bag, leave a report in out/demo
#   make test   set up, build, run every test; fails if anything fails
#
# Options: PYTHON=python3.12   the interpreter (default: the first usable one)
#          ROS=kilted|jazzy    ROS 2 from Python wheels (default: the sourced distribution, else kilted)
#          TORCH=cpu|cuda      which build of torch (default: cpu)

SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c
.DEFAULT_GOAL := help

ROS ?= $(if $(filter jazzy kilted,$(ROS_DISTRO)),distribution,kilted)
TORCH ?= cpu
SUFFIX := $(if $(filter jazzy,$(ROS)),-jazzy)
VENV := .venv$(SUFFIX)
BASES := --build-base build$(SUFFIX) --install-base install$(SUFFIX)
COLCON := $(VENV)/bin/python -m colcon --log-base log$(SUFFIX)
ENTER := source install$(SUFFIX)/setup.bash &&

export PYTHON
# Nothing here talks to other machines, and a domain of its own keeps other graphs out.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export ROS_DOMAIN_ID ?= 42
# The ROS wheels keep their package index in the virtual environment.
ifneq ($(ROS),distribution)
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)
endif

.PHONY: help setup build demo test clean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@tools/setup.sh $(VENV) $(ROS) $(TORCH)

build: setup
	@$(COLCON) build $(BASES) > $(VENV)/build.log 2>&1 && [ -f install$(SUFFIX)/setup.bash ] || \
		{ cat $(VENV)/build.log; echo 'build failed: the reason stands above' >&2; exit 1; }

demo: build
	@[ -d out/sample/bag ] || $(VENV)/bin/python -m pair_drive_training make-world --bag out/sample/bag
	@$(ENTER) $(VENV)/bin/python -m pair_drive_ros demo out/sample/bag --out out/demo

test: build
	@$(ENTER) $(COLCON) test $(BASES) --event-handlers console_direct+ --return-code-on-test-failure
	@$(COLCON) test-result --test-result-base build$(SUFFIX) --verbose

clean:
	rm -rf build* install* log* out .venv*
