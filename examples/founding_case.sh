#!/bin/sh
# The founding case, as it would have gone here: a couple's annual passes by fingerprint, a mass message that everybody
# now enters by face, a man who would rather not, and what both take home in the end.
#
#   examples/founding_case.sh FACE.jpg LATER.jpg      (two pictures of the one of them who says yes; an empty folder)
set -eu
face=$1
later=$2

countenance init zoo --scenario annual-pass --regime cn --name "Safari Park" --demo-threshold
printf 'person_ref,household,valid_until,language,contact\nguo,couple,2099-12-31,zh,\nwife,couple,2099-12-31,zh,\n' > zoo/tickets.csv

# Both have fingerprints in the old system: a folder with one file for each booking number.
mkdir -p fingerprints
head -c 512 /dev/urandom > fingerprints/guo.fpt
head -c 512 /dev/urandom > fingerprints/wife.fpt

# "Not registered by the 17th, no entry": a message is nobody's act, and changes nothing for anybody.
for one in guo wife; do
    if countenance enrol --venue zoo --ref $one --channel sms --yes --image "$face" --pass-out $one.never --json > $one.refused; then
        echo "A message enrolled $one." && exit 1
    fi
done

# He says no. His pass, its price and every gate stay the same.
countenance enrol --venue zoo --ref guo --no --pass-out guo.pass
countenance admit --venue zoo --lane plain --pass guo.pass

# She says yes, at the desk, to a notice of its own.
countenance enrol --venue zoo --ref wife --yes --age of-age --image "$face" --pass-out wife.pass --receipt-out wife.receipt
countenance admit --venue zoo --pass wife.pass --image "$later"

# The fingerprint gates go. A gate without faces takes their place, and whoever does not want that is paid back.
countenance method end fingerprint --replacement plain --refund "The rest of the year at the desk, without a reason" --venue zoo
countenance method delete fingerprint --records fingerprints --receipts fingerprint-receipts --yes --venue zoo

# She withdraws after all, and asks for everything to be deleted; the desk has a day by which to answer.
countenance withdraw --venue zoo --ref wife --receipt-out withdrawn.receipt
countenance prove --venue zoo --ref wife --out wife-evidence.zip
request=$(countenance rights ask delete --venue zoo --ref wife --text "All of it, please." --json | sed 's/.*"request": "\([0-9a-f]*\)".*/\1/')
countenance rights answer "$request" --venue zoo --outcome granted --reason "Done, with these receipts." --receipts deleted

# Both still come in, without a face.
countenance admit --venue zoo --lane plain --pass guo.pass
countenance admit --venue zoo --lane plain --pass wife.pass

# What a court would want: the venue's evidence, and hers, and every receipt, verified without the venue.
countenance prove --venue zoo --venue-wide --out zoo-evidence.zip
countenance log trust --venue zoo --out zoo.trust
countenance verify zoo-evidence.zip wife-evidence.zip wife.receipt withdrawn.receipt deleted/*.receipt \
    fingerprint-receipts/guo.receipt fingerprint-receipts/wife.receipt --trust zoo.trust
countenance controls --venue zoo || true
