import { describe, expect, it } from 'vitest';
import { readMail } from '../../src/data/mail.js';

const mail = (...lines: string[]) => lines.join('\n');
const words = (text: string) => text.trim().split(/\s+/);

describe('reading a mail', () => {
  it('separates headers and body, and joins folded headers', () => {
    const read = readMail(mail('From someone', 'Subject: a long', '\tsubject', 'To: you', '', 'line 1', '', 'line 2'));
    expect(read).toEqual({ subject: 'a long subject', body: 'line 1\n\nline 2' });
  });

  it('reads a mail without a body or a subject', () => {
    expect(readMail('Subject: alone')).toEqual({ subject: 'alone', body: '' });
    expect(readMail('To: you\n\ntext')).toEqual({ subject: '', body: 'text' });
  });

  it('decodes encoded words, quoted-printable and base64 in the part’s character set', () => {
    const quoted = mail(
      'Subject: =?iso-8859-1?Q?caf=E9_au?= =?utf-8?B?bGFpdA==?=',
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'na=EFve and one =',
      'line',
    );
    expect(readMail(quoted)).toEqual({ subject: 'café aulait', body: 'naïve and one line' });
    const encoded = Buffer.from('ünï', 'utf8').toString('base64');
    const base64 = mail('Content-Type: text/plain; charset="utf-8"', 'Content-Transfer-Encoding: base64', '', encoded);
    expect(readMail(base64).body).toBe('ünï');
  });

  it('takes HTML for its text', () => {
    const html = mail(
      'Content-Type: text/html; charset="no-such-set"',
      '',
      '<html><style>p {color: red}</style><!-- hidden --><p>Buy&nbsp;now &amp; <b>save</b> &#36;5 &unknown; 1 < 2</html>',
    );
    expect(words(readMail(html).body)).toEqual(['Buy', 'now', '&', 'save', '$5', '&unknown;', '1', '<', '2']);
  });

  it('joins text parts, leaves attachments out, and takes one of several alternatives', () => {
    const mixed = mail(
      'Content-Type: multipart/mixed; boundary="outer"',
      '',
      'preamble',
      '--outer',
      'Content-Type: multipart/alternative; boundary=inner',
      '',
      '--inner',
      'Content-Type: text/plain',
      '',
      'plain',
      '--inner',
      'Content-Type: text/html',
      '',
      '<p>the same again</p>',
      '--inner--',
      '--outer',
      '',
      'second',
      '--outer',
      'Content-Type: image/gif',
      'Content-Transfer-Encoding: base64',
      '',
      'R0lGODlhAQABAAAAACw=',
      '--outer--',
      'epilogue',
    );
    expect(words(readMail(mixed).body)).toEqual(['plain', 'second']);
  });
});
