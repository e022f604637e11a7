// Which names a Node program reads of process.env: `node --require` loads this before the program in a trial run.
// Writes a line of JSON for each name that is new: the name, where it was read and whose code that is; never a value.
'use strict';

const fs = require('fs');

const LOG_VARIABLE = 'PILLION_OBSERVE';
const given = process.env;
const log = given[LOG_VARIABLE];
const seen = new Set();
let due = []; // names that are read because the whole is

function caller() {
  const lines = (new Error().stack || '').split('\n').slice(1);
  const line = lines.find((each) => !each.includes(__filename) && !each.includes('<anonymous>)')) || '';
  const match = /\(?([^()\s]+):(\d+):\d+\)?$/.exec(line);
  const file = match ? match[1].replace(/^file:\/\//, '') : '?';
  const by = file.startsWith('node:') || file === '?' ? 'runtime' : file.includes('node_modules') ? 'library' : 'application';
  return [match ? `${file}:${match[2]}` : '?', by];
}

function write(name, at, by) {
  try {
    fs.appendFileSync(log, JSON.stringify({ runtime: 'node', name, at, by }) + '\n', { flag: 'a' });
  } catch {
    // The program is not to notice.
  }
}

function read(name) {
  if (typeof name !== 'string') return;
  if (due[0] === name) {
    due.shift();
    return;
  }
  due = [];
  if (name === LOG_VARIABLE || name in Object.prototype || seen.has(name)) return;
  seen.add(name);
  write(name, ...caller());
}

if (log) {
  write('', '', '');
  process.env = new Proxy(given, {
    get(target, name) {
      read(name);
      return Reflect.get(target, name);
    },
    has(target, name) {
      read(name);
      return Reflect.has(target, name);
    },
    ownKeys(target) {
      due = Reflect.ownKeys(target);
      const [at, by] = caller();
      if (!seen.has(`*${at}`)) {
        seen.add(`*${at}`);
        write('*', at, by);
      }
      return due.slice();
    },
  });
}
