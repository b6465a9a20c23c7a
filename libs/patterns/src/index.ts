export { PatternMatcher, PatternWorkError } from './match-pattern.js';
export { PatternError, type PatternNode } from './node.js';
export { PatternSets } from './pattern-sets.js';
export { PathPatterns, type PathPattern } from './path-pattern.js';
