export { JsonSyntaxError, TemplateError, TemplateSyntaxError } from './errors.js';
export { parseJson } from './json-parse.js';
export { compileTemplate, type Rendering, type Template } from './template.js';
export { PyFloat } from './scalars.js';
export { PyDict, type CalendarDate, type PyValue } from './values.js';
