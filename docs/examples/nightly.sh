#!/bin/sh
# One night, for cron: summarise the log as it was when yesterday ended, fit in the first night of a quarter, score.
#
#     CLV_LOG=purchases.parquet CLV_HOME=clv-nights sh nightly.sh [DATE]
#
# A line for crontab, every night at two; what goes wrong comes by mail, for nothing else is printed:
#
#     0 2 * * *  CLV_LOG=$HOME/purchases.parquet CLV_HOME=$HOME/clv sh $HOME/predclv/docs/examples/nightly.sh
set -eu
: "${CLV_LOG:?the purchase log}" "${CLV_HOME:?the folder for what is made}"
as_of=${1:-$(date -d yesterday +%F)}
month=$(date -d "$as_of" +%m)
model=$CLV_HOME/models/$(date -d "$as_of" +%Y)-Q$(((${month#0} + 2) / 3))
customers=$CLV_HOME/customers/$as_of.parquet
mkdir -p "$CLV_HOME/customers" "$CLV_HOME/models" "$CLV_HOME/scores" "$CLV_HOME/logs"
exec 3>&2 2>>"$CLV_HOME/logs/$as_of.log"

fail() { echo "$1 failed for $as_of; see $CLV_HOME/logs/$as_of.log" >&3; exit 1; }

predclv summarize "$CLV_LOG" --customer-id customer_id --date date --amount amount \
    --observation-end "$as_of" --out "$customers" --quiet || fail summarize
[ -f "$model/model.json" ] || predclv fit "$customers" --out "$model" --quiet || fail fit

code=0
predclv score "$customers" --model "$model" --horizon "26 weeks" --out "$CLV_HOME/scores/$as_of" \
    --memory-limit 1GB --resume >&2 || code=$?
case $code in
    0) ;;
    3) echo "$as_of: some rows were set aside; see $CLV_HOME/scores/$as_of/_manifest.json" >&3 ;;
    *) fail score ;;
esac
