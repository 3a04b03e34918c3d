// npm wechatpay-axios-plugin: one JSON object a line in, one out. Only its public interface is used.
import { createInterface } from 'node:readline';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import wechatpay from 'wechatpay-axios-plugin';

const { Wechatpay, Rsa, Aes, Formatter, Hash, Transformer } = wechatpay;
let sdk;
let own;

const calls = {
  settings: (said) => {
    const { privateKey, certs, ...rest } = said.options;
    own = said.options;
    const keys = Object.entries(certs).map(([name, pem]) => [name, Rsa.from(pem, Rsa.KEY_TYPE_PUBLIC)]);
    sdk = new Wechatpay({ ...rest, privateKey: Rsa.from(privateKey, Rsa.KEY_TYPE_PRIVATE), certs: Object.fromEntries(keys) });
    return 'ready';
  },
  request: async (said) => {
    const { data, status } = await sdk.chain(said.path)[said.verb](...said.args);
    return { status, data };
  },
  download: async (said) => {
    const url = new URL(said.url);
    const { data } = await sdk.chain(`${url.pathname.slice(1)}${url.search}`).get({
      responseType: 'arraybuffer',
      transformResponse: [(raw) => raw],
    });
    const raw = Buffer.from(data);
    const plain = raw[0] === 0x1f ? gunzipSync(raw) : raw;
    const { rows, summary } = { ...Transformer, rows: [], summary: {} };
    return { sha1: createHash('sha1').update(plain).digest('hex'), text: plain.toString('utf8'), rows, summary };
  },
  notification: (said) => {
    const name = (header) => said.headers[header];
    const text = Formatter.response(name('Wechatpay-Timestamp'), name('Wechatpay-Nonce'), said.body);
    const key = Rsa.from(own.certs[name('Wechatpay-Serial')], Rsa.KEY_TYPE_PUBLIC);
    if (!Rsa.verify(text, name('Wechatpay-Signature'), key)) throw new Error('the signature does not verify');
    const { resource: { ciphertext, nonce, associated_data: aad } } = JSON.parse(said.body);
    return JSON.parse(Aes.AesGcm.decrypt(ciphertext, said.secret, nonce, aad));
  },
  payment: (said) => {
    const told = Transformer.toObject(said.body);
    const type = told.sign.length === 64 ? 'HMAC-SHA256' : 'MD5';
    if (!Hash.equals(Hash.sign(type, told, own.secret), told.sign)) throw new Error('the signature does not verify');
    return told;
  },
  refund: (said) => {
    const told = Transformer.toObject(said.body);
    return Transformer.toObject(Aes.AesEcb.decrypt(told.req_info, Hash.md5(own.secret)));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  let answer;
  try {
    answer = { value: await calls[said.call](said) ?? null };
  } catch (error) {
    const told = error.response?.data;
    answer = { error: told?.code ?? error.code ?? error.name ?? 'Error', detail: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
