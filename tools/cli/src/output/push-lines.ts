import type { Pushed } from '@emloc/hub/push';

/** What was sent and what was not, a line each, and where it is. */
export function pushLines(pushed: Pushed): string {
  const { sent, unchanged, leftOut, url, revision, commit, isPrivate } = pushed;
  const where = `${url}, ${isPrivate ? 'private' : 'public'}, ${revision} at ${commit.slice(0, 12)}`;
  return [
    ...sent.map((path) => `sent      ${path}`),
    ...unchanged.map((path) => `unchanged ${path}`),
    ...leftOut.map(({ path, why }) => `left out  ${path} (${why})`),
    sent.length > 0 ? where : `nothing to send: ${where}`,
  ].join('\n');
}
