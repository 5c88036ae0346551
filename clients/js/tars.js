/* tars - the client of T.A.R.S. for JavaScript. */
export const API_VERSION = "1";
