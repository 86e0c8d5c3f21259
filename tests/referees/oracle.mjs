// The independent server by itself, for trying a referee without ours: prints its issuer and stays up.
import { startOracle } from './lib/oracle.mjs';

console.warn = console.info = () => undefined;
console.log((await startOracle({ api: 'https://api.example.test' })).issuer);
