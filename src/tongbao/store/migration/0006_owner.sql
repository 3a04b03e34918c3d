-- A case has somebody who answers for it: the desk of operations until an operator takes it.

ALTER TABLE case_file ADD COLUMN owner text NOT NULL DEFAULT 'operations';
