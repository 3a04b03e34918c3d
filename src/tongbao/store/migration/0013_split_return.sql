-- Returns of shares: what a receiver gives back to the merchant whose trade it is, without a refund.

CREATE TABLE split_return (
  merchant_id text NOT NULL,
  return_no text NOT NULL,
  return_id text NOT NULL UNIQUE,
  out_trade_no text NOT NULL,
  split_no text NOT NULL,
  giver_id text NOT NULL CHECK (giver_id <> merchant_id),
  amount {bigint} NOT NULL CHECK (amount > 0 AND amount <= 10000000000000),
  currency text NOT NULL,
  memo text NOT NULL,
  digest text NOT NULL,
  created_at {bigint} NOT NULL,
  PRIMARY KEY (merchant_id, return_no)
) {strict};
CREATE INDEX split_return_of ON split_return (merchant_id, out_trade_no, split_no);
