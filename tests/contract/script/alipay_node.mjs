// npm alipay-sdk: one JSON object a line in, one out. Only its public interface is used.
import { createInterface } from 'node:readline';
import { AlipaySdk } from 'alipay-sdk';

let sdk;
const calls = {
  settings: (said) => { sdk = new AlipaySdk(said.options); return 'ready'; },
  exec: async (said) => sdk.exec(said.method, said.params ?? {}, said.options ?? {}),
  pageExec: (said) => sdk.pageExec(said.method, said.verb, said.params ?? {}),
  sdkExec: (said) => sdk.sdkExec(said.method, said.params ?? {}),
  curl: async (said) => sdk.curl(said.verb, said.path, said.options ?? {}),
  checkNotifySign: (said) => sdk.checkNotifySign(said.data),
  checkNotifySignV2: (said) => sdk.checkNotifySignV2(said.data),
};

for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  let answer;
  try {
    answer = { value: await calls[said.call](said) ?? null };
  } catch (error) {
    answer = { error: error.code ?? error.name ?? 'Error', detail: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
