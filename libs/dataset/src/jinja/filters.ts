import { type Filter } from './filter.js';
import { collectionFilters } from './filters-collections.js';
import { numberFilters } from './filters-numbers.js';
import { selectionFilters } from './filters-selection.js';
import { textFilters } from './filters-texts.js';
import { webFilters } from './filters-web.js';

export const filters: ReadonlyMap<string, Filter> = new Map([
  ...collectionFilters,
  ...numberFilters,
  ...selectionFilters(() => filters),
  ...textFilters,
  ...webFilters,
]);
