// An agent: the real command with a home of its own.
import { spawn } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const PATIENCE_MS = 30_000;

export class Agent {
  constructor(url, title) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'purser-agent-'));
    Object.assign(this, { url, title, home, running: new Set() });
  }

  // Runs a command to its end; its envelope.
  run(...words) {
    const { PATH, TMPDIR = os.tmpdir(), PURSER } = process.env;
    const child = spawn(PURSER, ['--json', ...words], { cwd: this.home, env: { PATH, TMPDIR, HOME: this.home, PURSER_HOME: this.home, PURSER_URL: this.url } });
    this.running.add(child);
    const said = { out: '', err: '' };
    child.stdout.on('data', (it) => (said.out += it));
    child.stderr.on('data', (it) => (said.err += it));
    return new Promise((done, fail) => {
      child.on('error', fail);
      child.on('close', () => {
        this.running.delete(child);
        try {
          done(JSON.parse(said.out));
        } catch {
          fail(new Error(`\`purser ${words.join(' ')}\` printed no envelope: ${said.out} ${said.err}`));
        }
      });
    });
  }

  async must(...words) {
    const envelope = await this.run(...words);
    assert.ok(envelope.ok, `\`purser ${words.join(' ')}\`: ${JSON.stringify(envelope.error)}`);
    return envelope.data;
  }

  // Runs a command again and again until `enough` of its envelope.
  async until(enough, ...words) {
    for (const end = Date.now() + PATIENCE_MS; ; ) {
      const envelope = await this.run(...words);
      if (enough(envelope)) return envelope;
      if (Date.now() > end) throw new Error(`\`purser ${words.join(' ')}\` still answers ${JSON.stringify(envelope)}`);
    }
  }

  // Asks for a grant: the page for the person, and what the agent is told in the end.
  async ask(...words) {
    await this.until((it) => JSON.stringify(it.data ?? {}).includes('slipway/workers'), 'catalog');
    const decided = this.run('login', '--name', this.title, '--project', 'shop', '--timeout', '60', ...words);
    decided.catch(() => undefined);
    const file = path.join(this.home, 'login.json');
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await new Promise((done) => setTimeout(done, 20))) {
      if (fs.existsSync(file)) return { url: JSON.parse(fs.readFileSync(file, 'utf8')).verification_uri_complete, decided: () => decided };
    }
    throw new Error('the agent has no page for its person');
  }

  end() {
    for (const child of this.running) child.kill('SIGKILL');
    fs.rmSync(this.home, { recursive: true, force: true, maxRetries: 3 });
  }
}
