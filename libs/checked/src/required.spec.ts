import { required } from './required.js';

describe('required', () => {
  it('gives what is there', () => {
    expect(required(0, 'count')).toBe(0);
    expect(required('', 'text')).toBe('');
  });

  it.each([null, undefined])('throws for %s', (value) => {
    expect(() => required(value, 'the gradient')).toThrow(new Error('the gradient is missing'));
  });
});
