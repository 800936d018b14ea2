// gRPC's own client for JavaScript, unchanged. grpc_clients_test.py starts the programs and names them in the environment: GATEWAY,
// host:port; SIMULATOR, a base URL; PROTOS, the folder of .proto files.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';

const require = createRequire(import.meta.url);  // unlike import, it looks into NODE_PATH
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { GrpcReflection } = require('grpc-js-reflection-client');

const { GATEWAY, SIMULATOR, PROTOS } = process.env;
const options = { keepCase: true, longs: Number, enums: String, includeDirs: [PROTOS] };
const { Inference } = grpc.loadPackageDefinition(loader.loadSync('penstock/v1/inference.proto', options)).penstock.v1;
const client = new Inference(GATEWAY, grpc.credentials.createInsecure());
const request = (model, content = 'What is a penstock?') =>
  ({ model, messages: [{ role: 'ROLE_USER', content }], temperature: 0, max_tokens: 4096 });

test.after(() => client.close());

const stats = async (model) => (await (await fetch(`${SIMULATOR}/sim/stats`)).json()).models[model] ??
  { received: 0, completed: 0, cancelled: 0 };

async function until(condition, what) {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 5));
  }
  assert.fail(`never: ${what}`);
}

const chat = (asked, more = {}) => new Promise((done, failed) => {
  client.Chat(asked, new grpc.Metadata(), more, (error, answer) => error ? failed(error) : done(answer));
});

async function gather(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.flatMap((chunk) => chunk.choices).map((choice) => choice.delta?.content ?? '').join('');

test('chat, whole and streamed', async () => {
  const answer = await chat(request('m'));
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.completion_tokens, 6);
  const chunks = await gather(client.ChatStream(request('m')));
  assert.equal(textOf(chunks), answer.choices[0].message.content);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
});

test('head and trailers', async () => {
  const call = client.ChatStream(request('m'));
  const head = new Promise((done) => call.on('metadata', done));
  const end = new Promise((done) => call.on('status', done));
  await gather(call);
  assert.deepEqual((await head).get('x-penstock-model'), ['m']);
  assert.equal((await end).code, grpc.status.OK);
});

test('compressed both ways', async () => {
  const wish = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
  const compressing = new Inference(GATEWAY, grpc.credentials.createInsecure(), wish);
  const answer = await new Promise((done, failed) => {
    compressing.Chat(request('m', 'long '.repeat(2000)), (error, got) => error ? failed(error) : done(got));
  });
  compressing.close();
  assert.ok(answer.choices[0].message.content);
});

test('Q-05 a cancelled stream reaches the backend', async () => {
  const before = (await stats('sim:50:20:10000')).cancelled;
  const call = client.ChatStream(request('paced'));
  await assert.rejects((async () => {
    for await (const chunk of call) {
      if (chunk.choices[0]?.delta?.content) call.cancel();
    }
  })(), { code: grpc.status.CANCELLED });
  await until(async () => (await stats('sim:50:20:10000')).cancelled === before + 1, 'cancelled at the backend');
});

test('Q-06 a deadline', async () => {
  await assert.rejects(chat(request('silent'), { deadline: Date.now() + 50 }), { code: grpc.status.DEADLINE_EXCEEDED });
});

test('errors', async () => {
  await assert.rejects(chat(request('nobody')), (error) => {
    assert.equal(error.code, grpc.status.NOT_FOUND);
    assert.match(error.details, /the model does not exist/);
    assert.match(error.metadata.get('grpc-status-details-bin')[0].toString('latin1'), /MODEL_NOT_FOUND/);
    return true;
  });
  await assert.rejects(chat({ ...request('m'), n: 1000 }), { code: grpc.status.INVALID_ARGUMENT });
});

test('a broken stream is an error, never an end', async () => {
  for (const model of ['fault:cut:after=3', 'fault:error:after=3']) {
    await assert.rejects(gather(client.ChatStream(request(model))), { code: grpc.status.UNAVAILABLE }, model);
  }
});

// A client that has no .proto file: it learns the types from the gateway, then calls.
for (const version of ['v1', 'v1alpha']) {
  test(`reflection ${version}`, async () => {
    const asking = new GrpcReflection(GATEWAY, grpc.credentials.createInsecure(), {}, version);
    const services = await asking.listServices();
    for (const name of ['penstock.v1.Inference', 'inference.GRPCInferenceService', 'grpc.health.v1.Health']) {
      assert.ok(services.includes(name), `${name} of ${services}`);
      assert.ok((await asking.listMethods(name)).length > 0, name);
    }
    await assert.rejects(asking.getDescriptorBySymbol('penstock.v1.Nothing'), /not found/);
    const learnt = await asking.getDescriptorBySymbol('penstock.v1.Inference');
    const stub = new (learnt.getPackageObject({ keepCase: true }).penstock.v1.Inference)(GATEWAY, grpc.credentials.createInsecure());
    const answer = await new Promise((done, failed) => {
      stub.Chat(request('m'), (error, got) => error ? failed(error) : done(got));
    });
    stub.close();
    asking.client.close();
    assert.equal(answer.choices[0].finish_reason, 'stop');
  });
}
