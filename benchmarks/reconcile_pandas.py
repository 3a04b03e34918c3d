"""The same reconciliation with pandas, as a process of its own: ``reconcile_pandas.py BILL OWN CHARSET``."""

from __future__ import annotations

import json
import resource
import sys
import time

import pandas as pd


def minor(column: pd.Series) -> pd.Series:
    """Sums with two decimals as whole minor units, without a float in between."""
    return column.str.replace(".", "", regex=False).astype("int64")


def main() -> None:
    bill, own, charset = sys.argv[1:4]
    begun = time.perf_counter()
    there = pd.read_csv(bill, usecols=[0, 2, 3, 4], dtype=str, encoding=charset)
    there.columns = ["kind", "income", "outcome", "order_no"]
    there = there[there["kind"].isin(["支付", "退款"])]
    there["order_no"] = there["order_no"].str.strip("\t")
    there["amount"] = (minor(there["income"]) - minor(there["outcome"])).abs()
    here = pd.read_csv(own, usecols=["order_no", "amount", "state"], dtype=str)
    here["amount"] = minor(here["amount"])
    twice = there["order_no"].duplicated().sum() + here["order_no"].duplicated().sum()
    both = here.merge(there[["order_no", "amount"]], on="order_no", how="outer", suffixes=("_h", "_t"), indicator=True)
    alone = both["_merge"] != "both"
    other = ~alone & (both["amount_h"] != both["amount_t"])
    state = ~alone & ~other & (both["state"] != "paid")
    different = int(alone.sum() + other.sum() + state.sum() + twice)
    used = resource.getrusage(resource.RUSAGE_SELF)
    said = {
        "seconds": time.perf_counter() - begun,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024,
        "matched": int(len(both) - alone.sum() - other.sum() - state.sum()),
        "different": different,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
