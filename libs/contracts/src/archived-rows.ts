/**
 * What an uploaded archive has at its top where it is of rows, with the images that they name: a
 * file of rows in any of their forms.
 */
export const archivedRowsName = 'rows.jsonl';
