#!/usr/bin/env bash
# nfacct reads what `nfacct list` wrote with `nfacct restore`, until the first quota: it stops there, and what comes behind is
# lost. The JSON of a quota has `=` for `:`, which no parser reads, and the XML leaves the quota out; both with exit code 0.
. "$(dirname "$0")/lib.sh"
debian13 nfacct=1.0.2-4
inside13 nfacct version | sed -n 's/^\(nfacct v[0-9.]*\).*/\1/p'
echo "kernel: $(uname -r)"

inside13 nfacct add customers
inside13 nfacct add guests byte 5000000
inside13 nfacct add voice
names() { inside13 nfacct list | sed -n 's/.*= \(.*\);/\1/p' | sort | tr '\n' ' '; }
same "before" "customers guests voice " "$(names)"
same "the quota in JSON" '"quota" : 5000000, "mode" = "byte", "overquota" = 0, "name" : "guests"' \
    "$(inside13 nfacct list json | grep -o '"quota".*guests"')"
same "in XML" "<obj><name>guests</name><pkts>0</pkts><bytes>0</bytes></obj>" \
    "$(inside13 nfacct list xml | sed -n 's/00*</0</g; /guests/p')"
inside13 nfacct list >"$scratch/saved"
inside13 nfacct flush
same "restored" "nfacct v1.0.2: error reading input" "$(inside13 nfacct restore <"$scratch/saved" 2>&1 || true)"
same "after" "customers " "$(names)"
