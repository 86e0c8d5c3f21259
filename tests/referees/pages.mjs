// A person with a real browser on the real pages, ours and slipway's. Words after the name of this file choose among the stories.
// The files are told side by side, since modules that wait do not wait for each other; the stories of one file one after another.
import './pages/everywhere.mjs';
import './pages/consent.mjs';
import './pages/login.mjs';
import './pages/linking.mjs';
import './pages/others.mjs';
import './pages/let-in.mjs';

process.exit(0);
