// The usual theme in fonts that are there: nothing is fetched.
import theme from 'vitepress/theme-without-fonts';

import './style.css';

export default theme;
