set terminal svg size 900,600 background 'white'
set output 'cycle.svg'
set title "1 GiB, uniform\nAMD EPYC, 2 cores, 24 GiB; Linux 6.18.44-fc-v657 x86_64; gcc 12.2.0" noenhanced
set xlabel 'writes in a cycle'
set ylabel 'cycle, us'
set logscale xy
set grid
set key outside right
$line0 << EOD
10 66.098
30 181.03
100 597.601
300 1999.24
1000 6384.61
3000 54938.7
10000 148264
30000 867622
EOD
$line1 << EOD
10 46.519
30 112.749
100 325.105
300 1003.82
1000 3121.49
3000 20863.2
10000 54958.4
30000 110801
EOD
$line2 << EOD
10 96.794
30 282.462
100 1007.26
300 11453.1
1000 15077
3000 68411.6
10000 278999
30000 1.13604e+06
EOD
$line3 << EOD
10 80031.9
30 91931.3
100 83210.3
300 86127.4
1000 55505
3000 70209.7
10000 125786
30000 250638
EOD
$line4 << EOD
10 859.793
30 1215.28
100 8014.26
300 6641.74
1000 12722.1
3000 30376.9
10000 67914.5
30000 168988
EOD
plot $line0 with linespoints title "cow, automatic" noenhanced, $line1 with linespoints title "cow, by write()" noenhanced, $line2 with linespoints title "cow, mprotect" noenhanced, $line3 with linespoints title "fork, 4 KiB pages" noenhanced, $line4 with linespoints title "fork, huge pages" noenhanced
