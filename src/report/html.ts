/** HTML that cannot forget to escape: text becomes markup only through the `html` tag. */

export class Html {
  constructor(readonly text: string) {}
}

export type HtmlValue = string | number | Html | undefined | false | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Replaces what neither HTML nor XML may contain (control characters, lone surrogates) by U+FFFD. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd');
}

export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function render(value: HtmlValue): string {
  if (value instanceof Html) return value.text;
  if (value === undefined || value === false) return '';
  if (typeof value === 'object') return value.map(render).join('');
  return escapeHtml(String(value));
}

/** Template tag: interpolated strings and numbers are escaped, Html and arrays of it are not. */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(strings.map((text, index) => text + (index < values.length ? render(values[index]) : '')).join(''));
}

export interface HtmlColumn<Row> {
  readonly header: HtmlValue;
  readonly cell: (row: Row) => HtmlValue;
  /** Right-aligned with figures of equal width. */
  readonly numeric?: boolean;
  /** Holds running text and keeps a width at which that is readable. */
  readonly wide?: boolean;
}

export interface HtmlTableOptions<Row, Special> {
  readonly rowClass?: (row: Row) => string | undefined;
  /** A whole <tr> for rows that do not fit the columns; undefined for those that do. */
  readonly alternative?: (row: Row | Special) => Html | undefined;
}

/** A table in a container that scrolls by itself when the page is narrow. The first column holds the row's header. */
export function htmlTable<Row, Special = never>(
  caption: string,
  columns: readonly HtmlColumn<Row>[],
  rows: readonly (Row | Special)[],
  options: HtmlTableOptions<Row, Special> = {},
): Html {
  const mark = (column: HtmlColumn<Row>) => {
    const name = column.numeric ? 'number' : column.wide ? 'wide' : undefined;
    return name && html` class="${name}"`;
  };
  const cells = (row: Row) =>
    columns.map((column, index) =>
      index === 0
        ? html`<th scope="row"${mark(column)}>${column.cell(row)}</th>`
        : html`<td${mark(column)}>${column.cell(row)}</td>`,
    );
  const line = (row: Row) => {
    const name = options.rowClass?.(row);
    return html`<tr${name && html` class="${name}"`}>${cells(row)}</tr>\n`;
  };
  return html`<div class="scroll table" tabindex="0" role="group" aria-label="Table: ${caption}"><table>
<caption><span>${caption}</span></caption>
<thead><tr>${columns.map((column) => html`<th scope="col"${mark(column)}>${column.header}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => options.alternative?.(row) ?? line(row as Row))}</tbody>
</table></div>
`;
}
