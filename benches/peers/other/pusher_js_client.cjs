// pusher-js on node. It parses the data of every event.
const Pusher = require('pusher-js');

const [port, kind, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const pusher = new Pusher('key', {
  cluster: 'none', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'],
});
const late = [];
let [seen, sum] = [0, 0];
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1e6);
const flood = (data) => {
  seen += 1;
  sum += data.size;
  if (seen % count === 0) process.stdout.write(`${seen} ${sum}\n`);
};
const paced = (data) => {
  late.push(Math.max(0, now() - data.t));
  if (late.length === count) process.stdout.write(`${late.join(' ')}\n`);
};
pusher.subscribe('bench').bind('message', kind === 'paced' ? paced : flood);
