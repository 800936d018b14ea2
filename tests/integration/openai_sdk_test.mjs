// The official client, unchanged but for its base URL. sdk_test.py starts the programs and names them in the environment:
// GATEWAY and SIMULATOR, base URLs. Models: their names are the simulator's programs; "once/..." allows the gateway one attempt.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';

const require = createRequire(import.meta.url);  // unlike import, it looks into NODE_PATH
const { OpenAI } = require('openai');

const { GATEWAY, SIMULATOR } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: 'sk-test', maxRetries: 0 });
const patient = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: 'sk-test', maxRetries: 2 });
const messages = [{ role: 'user', content: 'What is a penstock?' }];

const stats = async (model) => (await (await fetch(`${SIMULATOR}/sim/stats`)).json()).models[model] ??
  { received: 0, completed: 0, cancelled: 0 };
const reset = () => fetch(`${SIMULATOR}/sim/reset`, { method: 'POST' });

async function until(condition, what) {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 5));
  }
  assert.fail(`never: ${what}`);
}

test.beforeEach(reset);

test('chat', async () => {
  const answer = await client.chat.completions.create({ model: 'sim:1:8:0', messages });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.choices[0].message.content.length > 0);
  assert.equal(answer.usage.completion_tokens, 8);
});

test('an alias', async () => {
  const answer = await client.chat.completions.create({ model: 'gpt-4o-mini', messages });
  assert.ok(answer.choices[0].message.content);
});

test('response headers', async () => {
  const { response, request_id } = await client.chat.completions.create({ model: 'sim:1:8:0', messages }).withResponse();
  assert.match(request_id, /^[A-Za-z0-9._-]{1,128}$/);
  assert.equal(response.headers.get('x-penstock-model'), 'sim:1:8:0');
  assert.match(response.headers.get('server-timing'), /gw;dur=[\d.]+, *upstream;dur=[\d.]+/);
});

async function gather(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test('chat, streamed', async () => {
  const chunks = await gather(await client.chat.completions.create({ model: 'sim:1:8:0', messages, stream: true }));
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1), 'no usage event that nobody asked for');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  const whole = await client.chat.completions.create({ model: 'sim:1:8:0', messages });
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), whole.choices[0].message.content);
});

test('chat, streamed with include_usage', async () => {
  const chunks = await gather(await client.chat.completions.create(
    { model: 'sim:1:8:0', messages, stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, 8);
});

test('the stream helper and tool calls', async () => {
  const runner = client.chat.completions.stream({ model: 'fault:no-done:delta=tool_calls:finish=tool_calls', messages });
  const last = await runner.finalChatCompletion();
  assert.equal(last.choices[0].finish_reason, 'tool_calls');
  assert.doesNotThrow(() => JSON.parse(last.choices[0].message.tool_calls[0].function.arguments));
});

test('several choices', async () => {
  const chunks = await gather(await client.chat.completions.create({ model: 'sim:1:8:0', messages, stream: true, n: 3 }));
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason === 'stop').length, 3);
});

test('completions', async () => {
  const answer = await client.completions.create({ model: 'sim:1:8:0', prompt: 'Once' });
  assert.equal(answer.object, 'text_completion');
  assert.ok(answer.choices[0].text.length > 0);
  const chunks = await gather(await client.completions.create({ model: 'sim:1:8:0', prompt: 'Once', stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), answer.choices[0].text);
});

test('embeddings, in both encodings', async () => {
  const floats = await client.embeddings.create({ model: 'sim:1:8:0', input: ['a', 'b'], encoding_format: 'float' });
  assert.equal(floats.data.length, 2);
  const packed = await client.embeddings.create({ model: 'sim:1:8:0', input: ['a', 'b'] });  // base64, decoded by the client
  assert.equal(packed.data[0].embedding.length, floats.data[0].embedding.length);
  packed.data[0].embedding.forEach((x, i) => assert.ok(Math.abs(x - floats.data[0].embedding[i]) < 1e-6));
});

test('responses, streamed', async () => {
  const events = await gather(await client.responses.create({ model: 'sim:1:8:0', input: 'hi', stream: true }));
  assert.equal(events.at(-1).type, 'response.completed');
});

test('models', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('sim:1:8:0'));
  assert.equal((await client.models.retrieve('sim:1:8:0')).id, 'sim:1:8:0');
  await assert.rejects(client.models.retrieve('none'), OpenAI.NotFoundError);
});

test('C-01 abort of a stream reaches the backend', async () => {
  const stream = await client.chat.completions.create({ model: 'sim:1:100000:1000', messages, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break;  // leaving the loop aborts
  }
  await until(async () => (await stats('sim:1:100000:1000')).cancelled === 1, 'cancelled at the backend');
});

test('C-02 abort while nothing came reaches the backend', async () => {
  const abort = new AbortController();
  const answer = client.chat.completions.create({ model: 'fault:silence', messages, stream: true }, { signal: abort.signal });
  await until(async () => (await stats('fault:silence')).received === 1, 'received at the backend');
  abort.abort();
  await assert.rejects(answer, OpenAI.APIUserAbortError);
  await until(async () => (await stats('fault:silence')).cancelled === 1, 'cancelled at the backend');
});

const errors = [
  ['400 bad parameter', { model: 'sim:1:8:0', messages: {} }, OpenAI.BadRequestError, 'invalid_param', 'messages'],
  ['400 missing messages', { model: 'sim:1:8:0' }, OpenAI.BadRequestError, 'invalid_param', 'messages'],
  ['404 unknown model', { model: 'none', messages }, OpenAI.NotFoundError, 'model_not_found', 'model'],
  ['400 of the backend', { model: 'fault:status:400', messages }, OpenAI.BadRequestError],
  ['401 of the backend', { model: 'fault:status:401', messages }, OpenAI.AuthenticationError],
  ['403 of the backend', { model: 'fault:status:403', messages }, OpenAI.PermissionDeniedError],
  ['409 of the backend', { model: 'fault:status:409', messages }, OpenAI.ConflictError],
  ['422 of the backend', { model: 'fault:status:422', messages }, OpenAI.UnprocessableEntityError],
  ['429 of the backend', { model: 'fault:status:429', messages }, OpenAI.RateLimitError],
  ['500 of the backend', { model: 'fault:status:500', messages }, OpenAI.InternalServerError],
  ['503 of the backend', { model: 'fault:status:503', messages }, OpenAI.InternalServerError],
  ['502 no HTTP', { model: 'fault:html', messages }, OpenAI.InternalServerError, 'upstream_protocol'],
];
for (const [name, request, kind, code, param] of errors) {
  test(`error ${name}`, async () => {
    await assert.rejects(client.chat.completions.create(request), (error) => {
      assert.ok(error instanceof kind, String(error));
      if (code) assert.equal(error.code, code);
      if (param) assert.equal(error.param, param);
      assert.ok(error.requestID);
      return true;
    });
    await assert.rejects(client.chat.completions.create({ ...request, stream: true }), kind);
  });
}

test('U-07 a broken stream is an error, never an end', async () => {
  for (const model of ['fault:cut', 'fault:end', 'fault:split:end', 'fault:error:after=3']) {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    await assert.rejects(gather(stream), OpenAI.APIError, model);
  }
});

test('x-should-retry: the client does not retry what the gateway has retried', async () => {
  await assert.rejects(patient.chat.completions.create({ model: 'fault:status:500', messages }), OpenAI.InternalServerError);
  assert.equal((await stats('fault:status:500')).received, 2);
});

test('the client retries what the gateway has not', async () => {
  const answer = await patient.chat.completions.create({ model: 'once/fault:status:500:times=1:retry-after-ms=1', messages });
  assert.ok(answer.choices[0].message.content);
  assert.equal((await stats('fault:status:500:times=1:retry-after-ms=1')).received, 2);
});
