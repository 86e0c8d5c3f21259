import { WorkerEntrypoint } from "cloudflare:workers";

// A rate limit as code sees it: `await env.LIMIT.limit({ key })`. The host counts.
export default class extends WorkerEntrypoint {
  async limit(options) {
    const key = String(options?.key ?? "");
    const answer = await this.env.HOST.fetch("http://limit/", { method: "POST", body: JSON.stringify({ key }) });
    return await answer.json();
  }
}
