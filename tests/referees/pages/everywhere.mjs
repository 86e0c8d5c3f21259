// Every page that somebody can open, on a desk and on a phone.
import { ISSUER, address, go, look, press, signIn, signedIn, story } from '../lib/stories.mjs';

const PAGES = ['agents', 'workloads', 'applications', 'approvals', 'limits', 'card', 'spend', 'terms', 'events', 'organisation', 'security', 'device'];

for (const phone of [false, true]) {
  const place = phone ? 'phone' : 'desk';

  await story(`every page of a person can be used by everybody, on a ${place}`, async (seat, agent) => {
    const { page } = await seat({ phone });
    const email = address(`ida-${place}`);
    await page.goto(`${ISSUER}/sign-in`);
    await look(page, `${place}-sign-in`);
    await signedIn(page, email, `${place}-sign-in`);
    await look(page, `${place}-home`);
    for (const name of PAGES) await go(page, `/${name}`, `${place}-empty-${name}`);
    await page.goto(`${ISSUER}/nowhere`).catch(() => undefined);
    await look(page, `${place}-nowhere`);

    const one = agent('a browser agent with quite a long name, as they are');
    const { url, decided } = await one.ask('--irreversible', '--export', '--delegate');
    await go(page, url, `${place}-consent`);
    await press(page, /^Accept/);
    await look(page, `${place}-accepted`);
    await decided();
    await one.must('init', 'shop');
    await one.must('add', 'slipway/workers:free');
    for (const name of PAGES) await go(page, `/${name}`, `${place}-${name}`);
  });
}

await story('a page that asks who one is goes on to where it was', async (seat) => {
  const { page } = await seat();
  await signIn(page, address('joy'), '/terms');
  await look(page, 'terms');
  if (new URL(page.url()).pathname !== '/terms') throw new Error(`it went on to ${page.url()}`);
});
