// Where vitepress looks for it.
export { default } from '../src/config.mjs';
