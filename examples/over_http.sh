#!/bin/sh
# The story over HTTP, with curl, for who writes a program for a desk or a gate; docs/routes.md lists every call.
#
#     countenance apikey make desk --purpose entry.verify --label "a desk's program" --venue zoo
#     countenance apikey make gate --gate north --purpose entry.verify --label "a gate's program" --venue zoo
#     DESK=cnt_... GATE=cnt_... sh over_http.sh A-19 face.jpg later.jpg
#
# A-19 has a good ticket and is not enrolled; the server is at AT, the gate is GATE_NAME. Needs curl 7.82 and python3.
# It leaves what is the person's: A-19.pass, and the receipts of the enrolment and of the erasure.
set -eu
umask 077
reference=$1 face=$2 later=$3
at=${AT:-http://localhost:8443} gate=${GATE_NAME:-north} purpose=entry.verify

of() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]], end="")' "$1"; }
asked() { curl --silent --show-error --fail-with-body "$@"; }
pass() { python3 -c 'import json, sys; print(json.dumps({"pass": sys.stdin.read()}))' < "$reference.pass"; }
decided() {
    asked -H "authorization: Bearer $GATE" -F "pass=<$reference.pass" -F "image=@$later" "$at/v1/gates/$gate/decisions"
    echo
}

# The notice that the person reads, and its hash: a yes is to exactly this text.
notice=$(asked "$at/v1/purposes/$purpose/notice" | of hash)

# First step: the picture. The pass of the answer counts for nothing yet.
begun=$(asked -H "authorization: Bearer $DESK" -F "image=@$face" -F "reference=$reference" -F "purpose=$purpose" \
    -F "notice=$notice" -F language=en -F channel=desk "$at/v1/enrolments")
printf %s "$begun" | of pass > "$reference.pass"

# Second step, within five minutes: what was read from the pass when it was in its holder's hand.
pass | asked -H "authorization: Bearer $DESK" --json @- \
    "$at/v1/enrolments/$(printf %s "$begun" | of enrolment)/read-back" | of receipt > "$reference.receipt"

decided # admit

# Whoever holds the pass may withdraw its face; it needs no key.
pass | asked --json @- "$at/v1/withdrawals" | of receipt > "$reference-gone.receipt"

decided # refer: this face is compared by nobody any more
