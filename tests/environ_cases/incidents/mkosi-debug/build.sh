#!/bin/bash
export DEBUG=1
./mkosi.build
