/** Names of the Python exceptions that a template can cause. */
export type PythonException =
  | 'TypeError'
  | 'ValueError'
  | 'KeyError'
  | 'IndexError'
  | 'OverflowError'
  | 'ZeroDivisionError'
  | 'AttributeError'
  | 'UndefinedError'
  | 'SecurityError'
  | 'TemplateRuntimeError'
  | 'RecursionError'
  | 'MemoryError';

/** `raised`: by the template's own raise_exception; `limit`: the rendering took too much. */
export type TemplateErrorKind = 'raised' | 'runtime' | 'limit';

/** A rendering that was refused. The message may hold text of the row. */
export class TemplateError extends Error {
  readonly kind: TemplateErrorKind;
  /** What Python would have raised; absent for limits. */
  readonly exception: PythonException | undefined;
  /** Line of the template, from 1, where known. */
  line: number | undefined;

  constructor(kind: TemplateErrorKind, message: string, exception?: PythonException) {
    super(message);
    this.name = 'TemplateError';
    this.kind = kind;
    this.exception = exception;
    this.line = undefined;
  }
}

/** A template that cannot be compiled. */
export class TemplateSyntaxError extends Error {
  readonly line: number;
  readonly reason: string;

  constructor(reason: string, line: number) {
    super(`line ${line} of the template: ${reason}`);
    this.name = 'TemplateSyntaxError';
    this.line = line;
    this.reason = reason;
  }
}

/** A text that is not JSON. Holds nothing of the text. */
export class JsonSyntaxError extends Error {
  /** UTF-16 offset, from 0. */
  readonly position: number;
  readonly reason: string;

  constructor(reason: string, position: number) {
    super(`${reason} at character ${position + 1}`);
    this.name = 'JsonSyntaxError';
    this.position = position;
    this.reason = reason;
  }
}

export function pythonError(exception: PythonException, message: string): TemplateError {
  return new TemplateError('runtime', message, exception);
}

export function typeError(message: string): TemplateError {
  return pythonError('TypeError', message);
}

export function valueError(message: string): TemplateError {
  return pythonError('ValueError', message);
}

/** Whether it is a Python exception of one of these names. */
export function isPythonError(error: unknown, ...names: PythonException[]): boolean {
  return (
    error instanceof TemplateError &&
    error.exception !== undefined &&
    names.includes(error.exception)
  );
}
