-- Where a protocol wants a split's number to be unique within all of its merchant's, those of before are known, too.

INSERT INTO answer (scope, key, request_hash, outcome, at)
SELECT 'split:' || s.merchant_id, s.split_no, MIN(s.digest), MIN(s.out_trade_no), MIN(s.created_at) FROM split s
JOIN trade t ON t.merchant_id = s.merchant_id AND t.out_trade_no = s.out_trade_no
WHERE s.cause = 'asked' AND t.protocol LIKE 'wechatpay%'
GROUP BY s.merchant_id, s.split_no;

-- a return names a split by its number alone
CREATE INDEX split_of_no ON split (merchant_id, split_no);
