-- Combined orders: several trades that one payment pays, all of them or none.

CREATE TABLE combined (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  combined_id text NOT NULL UNIQUE,
  protocol text NOT NULL,
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  notify_url text NOT NULL,
  echo text NOT NULL,
  digest text NOT NULL,
  created_at {bigint} NOT NULL,
  paid_at {bigint},
  PRIMARY KEY (merchant_id, out_trade_no),
  CHECK (paid_at IS NULL OR paid_at >= created_at)
) {strict};

CREATE TABLE combined_trade (
  merchant_id text NOT NULL,
  out_trade_no text NOT NULL,
  n {bigint} NOT NULL CHECK (n BETWEEN 1 AND 50),
  part_merchant text NOT NULL,
  part_no text NOT NULL,
  PRIMARY KEY (merchant_id, out_trade_no, n)
) {strict};
CREATE UNIQUE INDEX combined_trade_once ON combined_trade (part_merchant, part_no);
