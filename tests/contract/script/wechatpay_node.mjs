// npm wechatpay-node-v3: one JSON object a line in, one out. Its addresses are fixed; the HTTP service that it lets one
// set carries its requests to the sandbox, under the name of the host that it believes to call.
import http from 'node:http';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import module from 'wechatpay-node-v3';

const WxPay = module.default ?? module;
let sdk;

const carrier = (gateway) => {
  const send = (method, url, headers, body) => new Promise((resolve) => {
    const { pathname, search, host } = new URL(url);
    const request = http.request(new URL(pathname + search, gateway), { method, headers: { ...headers, Host: host } }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        const raw = Buffer.concat(parts);
        const json = (response.headers['content-type'] ?? '').startsWith('application/json');
        const good = response.statusCode >= 200 && response.statusCode < 300;
        const said = json ? JSON.parse(raw.toString('utf8')) : raw.toString('base64');
        resolve(good ? { status: response.statusCode, data: said } : { status: response.statusCode, error: said });
      });
    });
    request.end(body);
  });
  return {
    get: (url, headers) => send('GET', url, headers),
    post: (url, params, headers) => send('POST', url, headers, JSON.stringify(params)),
  };
};

const calls = {
  settings: (said) => {
    const { publicKey, privateKey, ...rest } = said.options;
    sdk = new WxPay({ ...rest, publicKey: Buffer.from(publicKey), privateKey: Buffer.from(privateKey) });
    sdk.createHttp(carrier(said.gateway));
    return 'ready';
  },
  method: async (said) => sdk[said.name](...said.args),
  download: async (said) => {
    const raw = Buffer.from((await sdk.downloadBill(said.url)).data, 'base64');
    return { sha1: createHash('sha1').update(raw).digest('hex'), text: raw.toString('utf8') };
  },
  verify: async (said) => sdk.verifySign(said.params),
  decipher: (said) => sdk.decipher_gcm(said.ciphertext, said.associated_data, said.nonce, said.secret),
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
