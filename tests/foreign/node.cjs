// pusher-js and the official server library `pusher` against the in-process server.
//
// It prints the port of its webhook endpoint, reads the server's settings from standard input, and ends with
// status 0 if everything happened as it should. `tests/it/foreign` runs it.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const readline = require('node:readline');
const Pusher = require('pusher');
const PusherJs = require('pusher-js');

let step = 'starting';
const limit = setTimeout(() => fail(new Error('timed out')), 40_000);
process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);

function fail(error) {
  console.error(`${step}: ${error.stack}`);
  process.exit(1);
}

const hooks = [];
let hooked = () => {};
const endpoint = http.createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (part) => (body += part)).on('end', () => {
    hooks.push({ headers: request.headers, rawBody: body });
    response.end();
    hooked();
  });
});
endpoint.listen(0, '127.0.0.1', () => console.log(endpoint.address().port));

// The next event of this name, with its arguments.
function next(target, name) {
  return new Promise((resolve) => {
    const handler = (...args) => {
      target.unbind(name, handler);
      resolve(args);
    };
    target.bind(name, handler);
  });
}

readline.createInterface({ input: process.stdin }).once('line', async (line) => {
  const server = JSON.parse(line);
  try {
    await run(server);
    process.exit(0);
  } catch (error) {
    fail(error);
  }
});

async function run(server) {
  const { port, key, secret, appId, master } = server;
  const options = { appId, key, secret, host: '127.0.0.1', port, useTLS: false };
  const api = new Pusher({ ...options, encryptionMasterKeyBase64: master });
  const client = (user, watchlist) => new PusherJs(key, {
    cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'],
    channelAuthorization: {
      endpoint: `http://127.0.0.1:${port}/broadcasting/auth`,
      params: { user_id: user },
    },
    userAuthentication: {
      endpoint: `http://127.0.0.1:${port}/broadcasting/user-auth`,
      params: { user_id: user, watchlist },
    },
  });
  const [ann, bob] = [client('ann', 'bob,eve'), client('bob', '')];
  step = 'connecting';
  await Promise.all([ann, bob].map((one) => next(one.connection, 'connected')));

  for (const name of ['room', 'private-room', 'private-encrypted-room', 'presence-room']) {
    await everyKind(api, ann, bob, name);
  }
  await clientEvents(ann, bob);
  await publishing(api, ann, bob);
  await queries(api);
  await refusals(options);
  await users(api, ann, bob);
  await webhooks(api);
}

async function subscribe(client, name) {
  const channel = client.subscribe(name);
  await next(channel, 'pusher:subscription_succeeded');
  return channel;
}

async function everyKind(api, ann, bob, plain) {
  step = `channel ${plain}`;
  const channel = await subscribe(ann, plain);
  let event = next(channel, 'e');
  await api.trigger(plain, 'e', { text: 'ä' });
  assert.deepEqual((await event)[0], { text: 'ä' });

  const name = plain === 'room' ? 'cache-room' : plain.replace('room', 'cache-room');
  step = `channel ${name}`;
  const cache = ann.subscribe(name);
  await next(cache, 'pusher:cache_miss');
  event = next(cache, 'e');
  await api.trigger(name, 'e', { n: 1 });
  assert.deepEqual((await event)[0], { n: 1 });
  const later = bob.subscribe(name);
  assert.deepEqual((await next(later, 'e'))[0], { n: 1 });
}

async function clientEvents(ann, bob) {
  step = 'members and client events';
  const presence = ann.channel('presence-room');
  assert.equal(presence.members.me.id, 'ann');
  const added = next(presence, 'pusher:member_added');
  const joined = await subscribe(bob, 'presence-room');
  assert.equal((await added)[0].id, 'bob');
  assert.equal(joined.members.count, 2);
  const event = next(joined, 'client-e');
  presence.trigger('client-e', { a: [1] });
  const [data, metadata] = await event;
  assert.deepEqual([data, metadata.user_id], [{ a: [1] }, 'ann']);
}

async function publishing(api, ann, bob) {
  step = 'subscription counts';
  const room = ann.channel('room');
  const count = next(room, 'pusher:subscription_count');
  const other = await subscribe(bob, 'room');
  assert.equal((await count)[0].subscription_count, 2);

  step = 'excluding a connection';
  const seen = [];
  room.bind_global((name) => seen.push(name));
  const event = next(other, 'excluding');
  const params = { socket_id: ann.connection.socket_id, info: 'subscription_count' };
  const response = await api.trigger(['room', 'private-room'], 'excluding', 1, params);
  const { channels } = await response.json();
  assert.deepEqual(channels, { room: { subscription_count: 2 }, 'private-room': { subscription_count: 1 } });
  await event;

  step = 'a batch';
  const last = next(room, 'third');
  await api.triggerBatch(['first', 'second', 'third'].map((name) => ({ channel: 'room', name, data: {} })));
  await last;
  assert.deepEqual(seen, ['first', 'second', 'third']);
}

async function queries(api) {
  step = 'queries';
  const get = async (path, params = {}) => (await api.get({ path, params })).json();
  const params = { filter_by_prefix: 'presence-', info: 'user_count' };
  assert.deepEqual(await get('/channels', params), {
    channels: { 'presence-room': { user_count: 2 }, 'presence-cache-room': { user_count: 2 } },
  });
  const info = { info: 'user_count,subscription_count' };
  assert.deepEqual(await get('/channels/presence-room', info), { occupied: true, user_count: 2, subscription_count: 2 });
  assert.deepEqual(await get('/channels/presence-room/users'), { users: [{ id: 'ann' }, { id: 'bob' }] });
  assert.equal((await get('/channels/cache-room', { info: 'cache' })).cache.data, '{"n":1}');
}

async function refusals(options) {
  step = 'refusals';
  const status = (promise) => promise.then(() => 200, (error) => error.status);
  const api = new Pusher(options);
  const wrong = new Pusher({ ...options, secret: 'wrong' });
  assert.equal(await status(wrong.trigger('room', 'e', {})), 401);
  assert.equal(await status(api.trigger('room', 'e', 'x'.repeat(20_000))), 413);
  assert.equal(await status(api.get({ path: '/channels', params: { info: 'user_count' } })), 400);
}

async function users(api, ann, bob) {
  step = 'sign-in and watchlist';
  const offline = next(ann.user.watchlist, 'offline');
  ann.signin();
  assert.deepEqual((await offline)[0].user_ids, ['bob', 'eve']);
  const online = next(ann.user.watchlist, 'online');
  bob.signin();
  assert.deepEqual((await online)[0].user_ids, ['bob']);

  step = 'events of a user';
  // The user's channel is subscribed after the sign-in.
  for (let received = false; !received; ) {
    const note = next(ann.user, 'note').then(() => (received = true));
    await api.sendToUser('ann', 'note', { text: 'hello' });
    await Promise.race([note, new Promise((resolve) => setTimeout(resolve, 100))]);
  }

  step = 'the end of a user';
  const gone = next(ann.user.watchlist, 'offline');
  bob.disconnect();
  assert.deepEqual((await gone)[0].user_ids, ['bob']);
  const disconnected = next(ann.connection, 'disconnected');
  await api.terminateUserConnections('ann');
  await disconnected;
}

async function webhooks(api) {
  step = 'webhooks';
  const wanted = new Set([
    'channel_occupied', 'channel_vacated', 'member_added', 'member_removed', 'client_event', 'cache_miss',
    'subscription_count',
  ]);
  for (let read = 0; wanted.size > 0; read++) {
    while (hooks.length <= read) await new Promise((resolve) => (hooked = resolve));
    const webhook = api.webhook(hooks[read]);
    assert(webhook.isValid());
    webhook.getEvents().forEach((event) => wanted.delete(event.name));
  }
  const forged = { ...hooks[0], rawBody: hooks[0].rawBody.replace('time_ms', 'time') };
  assert(!api.webhook(forged).isValid());
  clearTimeout(limit);
}
