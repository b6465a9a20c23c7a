/** The text of something thrown. */
export function messageOf(error: unknown): string {
  const hasMessage =
    typeof error === 'object' &&
    error !== null &&
    'message' in error &&
    typeof error.message === 'string';
  return hasMessage ? (error.message as string) : String(error);
}
